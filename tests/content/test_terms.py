"""A source's words and ours."""

import datetime

import pytest

from newsletter.content import categories, numbering, sources, terms
from newsletter.content.models import Backlog
from newsletter.foundation.errors import NotFoundError
from tests.content.desk import Desk, entry


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Économie", "economie"),
        ("STRASSE", "Straße"),
        ("  World \n News ", "world news"),
        ("Łódź", "łodz"),
        ("İstanbul", "istanbul"),
        ("한국", "한국"),
        ("ﬁnance", "finance"),
        ("Ａ", "a"),
    ],
)
def test_names_fold_alike(one: str, other: str) -> None:
    assert terms.fold(one) == terms.fold(other)


@pytest.mark.parametrize("name", ["…", "\u0301", "🎈", "C++", "x" * 500, "ﷺ" * 200])
def test_every_name_folds_to_something_that_fits(name: str) -> None:
    assert 0 < len(terms.fold(name)) <= 200
    assert terms.fold("C++") != terms.fold("C")


def test_a_term_called_like_a_category_means_it(desk: Desk) -> None:
    desk.category("Économie & Finance")
    desk.category("World")
    source = desk.source()
    desk.store(source, entry("a", "ECONOMIE & finance"), entry("b", "economie-finance"), entry("c", "wörld", "Sport"))
    assert [desk.places(key) for key in "abc"] == [{"Économie & Finance"}, {"Économie & Finance"}, {"World"}]
    (left,) = terms.unmapped(desk.session, source.id)
    assert (left.name, left.seen, left.category, left.source) == ("Sport", 1, "", "A feed")


def test_an_archived_category_is_no_guess(desk: Desk) -> None:
    categories.archive(desk.session, desk.category("World"), desk.now)
    source = desk.source()
    desk.store(source, entry("a", "World"))
    assert desk.states() == {"a": "uncategorised"}


def test_unmapped_terms_are_counted_once_for_each_article(desk: Desk) -> None:
    source = desk.source()
    for _ in range(3):
        desk.store(source, entry("a", "Sport", "sport", "Opera"), entry("b", "Sport"))
    desk.tick(days=1)
    desk.store(source, entry("c", "Sport"))
    found = [(term.name, term.seen, term.last_seen_at == desk.now) for term in terms.unmapped(desk.session)]
    assert found == [("Sport", 3, True), ("Opera", 1, False)]
    assert sources.view(desk.session, source.id, desk.now).unmapped == 2
    assert sources.listed(desk.session, desk.now)[0].unmapped == 2


def test_without_a_mapped_term_the_default_takes_it(desk: Desk) -> None:
    desk.category("World")
    source = desk.source(default="General")
    desk.store(source, entry("a", "Sport"), entry("b", "Sport", "World"), entry("c"))
    assert [desk.places(key) for key in "abc"] == [{"General"}, {"World"}, {"General"}]


def test_what_has_no_category_waits_until_its_term_is_mapped(desk: Desk) -> None:
    source = desk.source()
    desk.store(source, entry("b", "Sport"), entry("a", "SPÓRT"), entry("other", "Opera"))
    assert desk.states() == {"a": "uncategorised", "b": "uncategorised", "other": "uncategorised"}
    (term,) = [term for term in terms.unmapped(desk.session) if term.name == "SPÓRT"]
    terms.map_to(desk.session, term.id, desk.category("World"))
    assert desk.wait() == 2
    assert desk.numbered() == ["a", "b"]
    assert desk.states()["other"] == "uncategorised"
    # Mapping it to something else is for coming articles only.
    terms.map_to(desk.session, term.id, desk.category("Business"))
    desk.store(source, entry("c", "Sport"))
    assert (desk.places("a"), desk.places("c")) == ({"World"}, {"Business"})


def test_a_default_set_later_takes_what_has_no_category(desk: Desk) -> None:
    source, world = desk.source(), desk.category("World")
    other = desk.source()
    desk.store(source, entry("a", "Sport"))
    desk.store(other, entry("b", "Sport"))
    sources.set_default_category(desk.session, source.id, world)
    assert desk.wait() == 1
    assert desk.numbered() == ["a"]
    sources.set_default_category(desk.session, source.id, None)
    assert desk.places("a") == {"World"}
    with pytest.raises(NotFoundError):
        sources.set_default_category(desk.session, source.id, 404)


def test_an_ignored_term_means_nothing_and_is_not_asked_about(desk: Desk) -> None:
    source = desk.source(default="General")
    ahead = desk.at(hours=1)
    desk.store(source, entry("a", "Sport", published_at=ahead))
    (term,) = terms.unmapped(desk.session)
    terms.map_to(desk.session, term.id, desk.category("World"))
    assert desk.places("a") == {"World"}
    terms.ignore(desk.session, term.id, desk.now)
    assert desk.places("a") == {"General"}
    desk.category("Sport")
    desk.store(source, entry("b", "Sport"), entry("a", "Sport", published_at=ahead))
    assert desk.places("b") == {"General"}
    assert terms.unmapped(desk.session) == []
    assert [(one.name, one.ignored) for one in terms.listed(desk.session)] == [("Sport", True)]
    terms.map_to(desk.session, term.id, desk.category("World"))
    assert [(one.category, one.ignored) for one in terms.listed(desk.session)] == [("World", False)]


def test_mapping_a_term_lets_no_backlog_out(desk: Desk) -> None:
    source = desk.source(Backlog.ASK)
    desk.store(source, entry("a", "Sport"))
    terms.map_to(desk.session, terms.unmapped(desk.session)[0].id, desk.category("World"))
    assert desk.wait() == 0
    sources.answer_backlog(desk.session, source.id, desk.now, release=True)
    assert (desk.numbered(), desk.places("a")) == (["a"], {"World"})


def test_what_nobody_sorts_for_a_week_counts_as_seen(desk: Desk) -> None:
    source = desk.source(Backlog.ASK)
    desk.category("Business")
    desk.store(source)
    desk.tick(minutes=15)
    desk.store(source, entry("old", "Sport"), entry("ahead", "Sport", published_at=desk.at(days=3)))
    desk.store(source, entry("sorted", "Business", published_at=desk.at(seconds=1)))
    desk.tick(days=7)
    assert numbering.forget_uncategorised(desk.session, desk.now - datetime.timedelta(seconds=1)) == 0
    desk.tick(days=1)  # nothing was numbered all the while: no worker ran
    assert numbering.forget_uncategorised(desk.session, desk.now) == 1
    desk.store(source, entry("new", "Sport"))
    terms.map_to(desk.session, terms.unmapped(desk.session)[0].id, desk.category("World"))
    desk.wait()
    assert desk.numbered() == ["sorted", "ahead", "new"]
    # It is no part of the backlog either.
    assert sources.answer_backlog(desk.session, source.id, desk.now, release=True) == 0
    assert desk.states()["old"] == "seen"


def test_there_is_nothing_to_map_where_nothing_is(desk: Desk) -> None:
    source = desk.source()
    desk.store(source, entry("a", "Sport"))
    (term,) = terms.unmapped(desk.session)
    with pytest.raises(NotFoundError):
        terms.map_to(desk.session, 404, desk.category("World"))
    with pytest.raises(NotFoundError):
        terms.map_to(desk.session, term.id, 404)
    with pytest.raises(NotFoundError):
        terms.ignore(desk.session, 404, desk.now)


def test_a_feed_with_a_word_for_everything_is_stored_and_its_words_listed_in_part(desk: Desk) -> None:
    source = desk.source(default="World")
    words = [[f"Person {article}-{number}" for number in range(50)] for article in range(500)]
    entries = [entry(f"a{number}", *mine, "Rain") for number, mine in enumerate(words)]
    assert desk.store(source, *entries).new == 500
    listed = terms.unmapped(desk.session)
    assert (len(listed), listed[0].name, listed[0].seen) == (terms.MOST, "Rain", 500)
    assert sources.view(desk.session, source.id, desk.now).unmapped == 25_001
