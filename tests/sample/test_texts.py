"""The written texts themselves."""

from collections import Counter

from newsletter.sample.articles import CATEGORIES, load_drafts

DRAFTS = load_drafts()


def test_there_are_some_forty_articles_about_eleven_in_each_category() -> None:
    counts = Counter(category for draft in DRAFTS for category in draft.categories)
    assert len(DRAFTS) >= 40
    assert set(counts) == set(CATEGORIES)
    assert min(counts.values()) >= 10


def test_slugs_and_titles_are_unique() -> None:
    assert len({draft.slug for draft in DRAFTS}) == len({draft.title for draft in DRAFTS}) == len(DRAFTS)


def test_every_text_is_short_but_worth_reading() -> None:
    for draft in DRAFTS:
        words = sum(len(paragraph.split()) for paragraph in draft.paragraphs)
        assert 60 <= words <= 150, draft.slug
        assert len(draft.paragraphs) >= 2, draft.slug


def test_the_texts_hold_what_breaks_careless_programs() -> None:
    titles = " ".join(draft.title for draft in DRAFTS)
    assert {"<", "&", "€", "“", "\N{BASKET}"} <= set(titles)
    assert any("\u0600" <= letter <= "\u06ff" for letter in titles)
    assert max(len(draft.title) for draft in DRAFTS) > 255
    assert any(len(draft.categories) > 1 for draft in DRAFTS)


def test_the_last_dozen_holds_three_of_each_category() -> None:
    assert Counter(draft.categories[0] for draft in DRAFTS[-12:]) == dict.fromkeys(CATEGORIES, 3)
