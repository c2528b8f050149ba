"""From feeds to articles: what is new, what is an edit, what waits, what counts as seen."""

import datetime

import hypothesis.strategies as st
import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from sqlalchemy import func, select

from newsletter.content import sources
from newsletter.content.models import Article, ArticleCategory, Backlog
from newsletter.content.parsed import ParsedEntry
from newsletter.foundation.db import transaction
from newsletter.foundation.errors import ConflictError
from tests.conftest import NOW
from tests.content.desk import Desk, entry

HOUR = datetime.timedelta(hours=1)


def test_new_articles_are_numbered_oldest_first(desk: Desk) -> None:
    source = desk.source(default="World")
    dated = [entry(key, published_at=NOW - age * HOUR) for key, age in (("b", 2), ("c", 1), ("a", 3))]
    assert desk.store(source, *dated).new == 3
    assert desk.numbered() == ["a", "b", "c"]
    # Without dates the document's order is all there is; feeds begin with the newest.
    desk.store(source, entry("e"), entry("d", published_at=NOW), *dated)
    assert desk.numbered() == ["a", "b", "c", "d", "e"]


def test_the_same_document_again_changes_nothing(desk: Desk) -> None:
    source = desk.source(default="World")
    entries = [entry("one", "World", "Unheard of"), entry("two"), entry("ahead", published_at=desk.at(hours=5))]
    assert desk.store(source, *entries).new == 3
    before = desk.everything()
    desk.tick(hours=1)
    assert desk.store(source, *entries) == desk.store(source, *entries[:1])
    assert desk.everything() == before


def test_an_edit_changes_what_is_shown_but_neither_number_nor_categories(desk: Desk) -> None:
    desk.category("Business")
    source = desk.source(default="World")
    desk.store(source, entry("x"))
    before = desk.article("x")
    number, first_seen_at = before.number, before.first_seen_at
    desk.tick(hours=1)
    edited = entry(
        "x",
        "Business",
        title="Now called x",
        url="https://site.example/moved",
        summary="Anew.",
        html="<p>New.</p>",
        author="Somebody",
        image_url="https://site.example/x.jpg",
        published_at=desk.at(days=-9),
    )
    stored = desk.store(source, edited)
    assert (stored.new, stored.changed) == (0, 1)
    after = desk.article("x")
    assert (after.number, after.first_seen_at, after.updated_at) == (number, first_seen_at, desk.now)
    shown = ("title", "url", "summary", "html", "author", "image_url", "published_at")
    assert [getattr(after, name) for name in shown] == [getattr(edited, name) for name in shown]
    assert desk.places("x") == {"World"}
    assert len(desk.views()) == 1


@pytest.mark.parametrize("published_at", [None, NOW - 2000 * 24 * HOUR, NOW - HOUR, NOW])
def test_what_is_new_is_what_we_see_first_whatever_its_date(desk: Desk, published_at: datetime.datetime | None) -> None:
    source = desk.source(Backlog.SEEN, default="World")
    desk.store(source, entry("old"))
    desk.tick(days=30)
    desk.store(source, entry("late", published_at=published_at), entry("old"))
    assert desk.numbered() == ["late"]


def test_what_is_dated_ahead_waits_for_its_date(desk: Desk) -> None:
    source = desk.source(default="World")
    desk.store(source, entry("soon", published_at=desk.at(hours=2)), entry("later", published_at=desk.at(hours=4)))
    assert desk.states() == {"soon": "ahead", "later": "ahead"}
    assert desk.wait(hours=2, seconds=-1) == 0
    assert desk.wait(seconds=1) == 1
    assert desk.numbered() == ["soon"]
    # The date may be moved as long as it lies ahead, also to now.
    desk.store(source, entry("soon"), entry("later", published_at=desk.at(hours=9)))
    assert desk.article("later").available_at == desk.at(hours=9)
    assert desk.wait(hours=8) == 0
    desk.store(source, entry("later"))
    assert desk.numbered() == ["soon", "later"]


def test_what_waits_may_still_change_its_categories(desk: Desk) -> None:
    for name in ("Business", "World"):
        desk.category(name)
    source = desk.source()
    ahead = desk.at(hours=2)
    desk.store(source, entry("x", "Business", published_at=ahead))
    assert desk.store(source, entry("x", "World", published_at=ahead)).changed == 1
    assert desk.places("x") == {"World"}
    desk.wait(hours=2)
    desk.store(source, entry("x", "Business", published_at=ahead))
    assert desk.places("x") == {"World"}


# Backlog.


def test_the_backlog_counts_as_seen_until_the_operator_lets_it_out(desk: Desk) -> None:
    source = desk.source(Backlog.ASK, default="World")
    ahead = entry("ahead", published_at=desk.at(hours=1))
    assert desk.store(source, entry("b"), entry("a"), ahead).seen == 2
    assert desk.states() == {"a": "seen", "b": "seen", "ahead": "ahead"}
    assert sources.view(desk.session, source.id, desk.now).unanswered == 2
    desk.tick(minutes=15)
    desk.store(source, entry("c"), entry("b"), entry("a"), ahead)
    assert desk.numbered() == ["c"]
    assert sources.answer_backlog(desk.session, source.id, desk.now, release=True) == 2
    assert desk.numbered() == ["c", "a", "b"]
    assert sources.view(desk.session, source.id, desk.now).unanswered == 0
    with pytest.raises(ConflictError):
        sources.answer_backlog(desk.session, source.id, desk.now, release=True)


def test_a_backlog_that_stays_seen_never_goes_out(desk: Desk) -> None:
    asked, told = desk.source(Backlog.ASK, default="World"), desk.source(Backlog.SEEN, default="World")
    for source in (asked, told):
        assert desk.store(source, entry(f"of-{source.id}")).seen == 1
    assert sources.answer_backlog(desk.session, asked.id, desk.now, release=False) == 0
    desk.store(asked, entry(f"of-{asked.id}", title="An edit"))
    assert desk.wait(days=9) == 0
    assert desk.numbered() == []
    with pytest.raises(ConflictError):
        sources.answer_backlog(desk.session, told.id, desk.now, release=True)


def test_an_answer_before_the_first_import_holds_for_it(desk: Desk) -> None:
    source = desk.source(Backlog.ASK, default="World")
    assert sources.answer_backlog(desk.session, source.id, desk.now, release=True) == 0
    assert desk.store(source, entry("a")).seen == 0
    assert desk.numbered() == ["a"]


def test_an_empty_first_document_is_an_import_too(desk: Desk) -> None:
    source = desk.source(Backlog.SEEN, default="World")
    desk.store(source)
    desk.store(source, entry("first"))
    assert desk.numbered() == ["first"]


# Identity.


def test_new_identities_for_old_articles_send_nothing_again(desk: Desk) -> None:
    source = desk.source(default="World")
    when = desk.at(days=-1)
    desk.store(source, entry("a", published_at=when), entry("b", published_at=when))
    renamed = [
        entry("a", identity="urn:uuid:1", published_at=when),
        entry("b", identity="https://new.example/?p=2", published_at=when, title="Edited, too, b"),
    ]
    for _ in range(2):
        assert desk.store(source, *renamed).new == 0
    assert desk.store(source, entry("a", published_at=when), entry("b", published_at=when)).new == 0
    assert len(desk.views()) == 2


def test_the_move_of_a_site_to_https_sends_nothing_again(desk: Desk) -> None:
    source = desk.source(default="World")
    desk.store(source, entry("x", identity="http://site.example/x", url="http://site.example/x"))
    stored = desk.store(
        source, entry("x", identity="https://site.example/x", url="https://site.example/x?utm_source=f")
    )
    assert (stored.new, stored.changed) == (0, 1)
    assert desk.article("x").url.startswith("https://")


def test_two_entries_that_swap_identities_are_edits(desk: Desk) -> None:
    source = desk.source(default="World")
    one, other = entry("one"), entry("other")
    desk.store(source, one, other)
    swapped = [entry("one", identity="other"), entry("other", identity="one")]
    for _ in range(2):
        assert desk.store(source, *swapped).new == 0
    assert len(desk.numbered()) == 2


def test_another_piece_under_an_old_address_is_new(desk: Desk) -> None:
    source = desk.source(default="World")
    live = "https://site.example/live"
    desk.store(source, entry("monday", url=live, published_at=desk.at(days=-1)))
    desk.store(source, entry("tuesday", url=live, published_at=desk.at()))
    assert desk.numbered() == ["monday", "tuesday"]
    assert desk.article("monday").canonical_hash != desk.article("tuesday").canonical_hash


@pytest.mark.parametrize("url", ["https://site.example/", "https://site.example", "", "https://site.example/all?x=1"])
def test_entries_that_share_an_address_are_told_apart_by_identity(desk: Desk, url: str) -> None:
    source = desk.source(default="World")
    desk.store(source, entry("a", url=url), entry("b", url=url))
    desk.store(source, entry("c", url=url), entry("a", url=url), entry("b", url=url))
    assert sorted(desk.numbered()) == ["a", "b", "c"]
    assert len({desk.article(key).canonical_hash for key in "abc"}) == 3


@pytest.mark.parametrize(
    ("url", "site_url"),
    [("https://site.example/", ""), ("https://site.example/news", "https://site.example/news/"), ("", "")],
)
def test_a_front_page_is_no_storys_address(desk: Desk, url: str, site_url: str) -> None:
    for key in ("a", "b"):
        desk.store(desk.source(default="World"), entry(key, url=url, title="Untitled " + key), site_url=site_url)
    assert desk.numbered() == ["a", "b"]


def test_an_entry_that_a_document_has_twice_is_numbered_once(desk: Desk) -> None:
    source = desk.source(default="World")
    desk.store(source, entry("x"))
    twice = [entry("x"), entry("x", identity="the same again")]
    assert desk.store(source, *twice).new == 1
    assert desk.store(source, *twice) == desk.store(source, *twice[::-1])
    fresh = [entry("y"), entry("y", identity="y again")]
    desk.store(source, *fresh)
    assert desk.numbered() == ["x", "y"]


def test_identities_count_within_their_source_only(desk: Desk) -> None:
    one, other = desk.source(default="World"), desk.source(default="World")
    desk.store(one, entry("1", url="https://one.example/first", title="of one"))
    desk.store(other, entry("1", url="https://other.example/first", title="of other"))
    assert desk.numbered() == ["one", "other"]


# The same story from several sources.


def test_a_story_is_numbered_once_in_each_category(desk: Desk) -> None:
    world, business, both = desk.source(default="World"), desk.source(default="Business"), desk.source()
    desk.store(world, entry("x", url="http://site.example/x/"))
    desk.store(business, entry("x", identity="other", url="https://site.example/x?utm_medium=rss"))
    desk.store(both, entry("x", "World", "Business"))
    assert [desk.article("x", source).number for source in (world, business, both)] == [1, 2, None]
    assert (desk.places("x", world), desk.places("x", business)) == ({"World"}, {"Business"})
    assert desk.states(both) == {"x": "repeat"}
    assert desk.wait(days=1) == 0


def test_a_later_article_takes_only_the_categories_that_its_story_is_not_in_yet(desk: Desk) -> None:
    world, both = desk.source(default="World"), desk.source()
    desk.category("Business")
    desk.store(world, entry("x"))
    desk.store(both, entry("x", "World", "Business"))
    assert desk.places("x", both) == {"Business"}
    assert desk.states(both) == {"x": "coming"}
    desk.store(both, entry("x", "World", "Business", title="Edited x"))
    assert desk.places("x", both) == {"Business"}


def test_a_story_that_is_held_or_withdrawn_stays_so_when_it_comes_again(desk: Desk) -> None:
    one, other = desk.source(default="World"), desk.source(default="Business")
    desk.store(one, entry("held"), entry("withdrawn"))
    desk.article("held").held_at = desk.now
    desk.article("withdrawn").withdrawn_at = desk.now
    desk.store(other, entry("held"), entry("withdrawn"), entry("fine"))
    assert desk.states(other) == {"held": "held", "withdrawn": "withdrawn", "fine": "coming"}
    assert desk.article("held", other).number is None


def test_a_backlog_let_out_repeats_no_story(desk: Desk) -> None:
    asked, other = desk.source(Backlog.ASK, default="World"), desk.source(default="World")
    desk.store(asked, entry("x"), entry("y"))
    desk.store(other, entry("x"))
    sources.answer_backlog(desk.session, asked.id, desk.now, release=True)
    assert desk.states(asked) == {"x": "repeat", "y": "coming"}
    assert desk.numbered() == ["x", "y"]


def test_a_story_moves_with_its_address_but_two_never_become_one(desk: Desk) -> None:
    one, other = desk.source(default="World"), desk.source(default="World")
    desk.store(one, entry("a"), entry("b"))
    desk.store(one, entry("a", url="https://site.example/b"))
    assert desk.article("a").canonical_hash != desk.article("b").canonical_hash
    desk.store(one, entry("b", url="https://site.example/c"))
    desk.store(other, entry("again", url="https://site.example/c"))
    assert desk.states(other) == {"again": "repeat"}


# Whatever feeds do.

keys = st.sampled_from(["a", "b", "c", "d"])
entries = st.builds(
    lambda key, address, words, title, when: entry(
        key,
        *words,
        url=f"https://site.example/{address}" if address != "none" else "",
        title=title,
        published_at=None if when is None else NOW + datetime.timedelta(days=when),
    ),
    keys,
    st.sampled_from(["a", "b", "c", "", "none"]),
    st.lists(st.sampled_from(["World", "world", "Wörld", "Business", "Else", "…"]), max_size=3),
    st.sampled_from(["A title", "Another"]),
    st.sampled_from([None, -1, -2, 3]),
)
documents = st.lists(entries, max_size=4, unique_by=lambda one: one.identity)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(history=st.lists(st.tuples(st.integers(0, 1), documents), min_size=1, max_size=5))
def test_fetching_again_never_changes_anything_and_no_story_is_twice_in_a_category(
    app: Flask, history: list[tuple[int, list[ParsedEntry]]]
) -> None:
    with transaction() as session:
        desk = Desk(session, NOW)
        pair = [desk.source(Backlog.NEW, default="World"), desk.source(Backlog.SEEN)]
        desk.category("Business")
        numbers: dict[int, int] = {}
        for which, document in history:
            desk.tick(minutes=15)
            desk.store(pair[which], *document)
            before = desk.everything()
            desk.tick(minutes=15)
            again = desk.store(pair[which], *document)
            assert (again.new, again.changed) == (0, 0)
            assert desk.everything() == before
            kept = {key: number for key, number in session.execute(select(Article.id, Article.number)) if number}
            assert numbers.items() <= kept.items()
            numbers = kept
            twice = (
                select(func.count())
                .select_from(Article)
                .join(ArticleCategory, ArticleCategory.article_id == Article.id)
                .where(Article.number.is_not(None))
                .group_by(Article.canonical_hash, ArticleCategory.category_id)
                .having(func.count() > 1)
            )
            assert session.scalars(twice).all() == []
        session.rollback()
