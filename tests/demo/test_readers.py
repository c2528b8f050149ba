"""The invented readers, the hours that are kept away from, and what each of them must get."""

import datetime

import pytest

from newsletter.demo.readers import ZONES, Answer, Reader, invent, quiet
from newsletter.demo.reckoning import due, fault, wanted
from newsletter.foundation.languages import LANGUAGES

CATEGORIES = ["business", "politics", "investing", "world"]
FRESH = {
    "http://site/a": frozenset({"business"}),
    "http://site/b": frozenset({"business", "politics"}),
    "http://site/c": frozenset({"world"}),
}


def readers() -> list[Reader]:
    return invent(102, CATEGORIES, ["daily", "weekly"], ZONES)


def reader(*categories: str) -> Reader:
    given = {"name": "", "language": "en", "timezone": "", "cadence": "daily", "partners": 0, "embedded": False}
    return Reader(
        address="a@readers.example",
        categories=frozenset(categories),
        answer=Answer.CONFIRMS,
        **given,  # type: ignore[arg-type]
    )


def test_they_are_the_same_each_time_and_as_different_as_the_story_needs() -> None:
    assert readers() == readers()
    assert len({one.address for one in readers()}) == 102
    assert {one.language for one in readers()} == set(LANGUAGES)
    assert len({one.timezone for one in readers()}) >= 12
    assert {one.cadence for one in readers()} == {"daily", "weekly"}
    assert {one.partners for one in readers()} == {0, 1, 2}
    assert {one.embedded for one in readers()} == {True, False}
    assert len({one.categories for one in readers()}) > 10
    assert [one.answer for one in readers()][-2:] == [Answer.REFUSES, Answer.IGNORES]
    assert all(one.answer is Answer.CONFIRMS for one in readers()[:-2])


def test_one_category_is_enough_to_choose_from() -> None:
    assert {one.categories for one in invent(10, ["news"], ["daily", "weekly"], ZONES)} == {frozenset({"news"})}


@pytest.mark.parametrize(
    ("at", "kept"),
    [((6, 29), True), ((6, 31), False), ((7, 0), False), ((7, 1), True), ((12, 0), True)],
)
def test_zones_where_a_digest_is_due_by_itself_soon_are_left_out(at: tuple[int, int], kept: bool) -> None:
    now = datetime.datetime(2026, 11, 23, *at, tzinfo=datetime.UTC)
    assert ("Europe/London" in quiet(ZONES, now)) is kept
    assert len(quiet(ZONES, now)) >= 12


def test_readers_get_what_is_in_their_categories() -> None:
    assert wanted(reader("business"), FRESH) == {"http://site/a", "http://site/b"}
    assert due([reader("investing"), reader("world")], FRESH) == [reader("world")]


@pytest.mark.parametrize(
    ("urls", "wrong"),
    [
        (["http://site/a?utm_source=x", "http://site/b", "http://elsewhere/"], ""),
        (["http://site/a"], "not all articles"),
        (["http://site/a", "http://site/b", "http://site/a?again"], "an article twice"),
        (["http://site/a", "http://site/b", "http://site/c"], "an article of another category"),
        (["http://elsewhere/"], "no article"),
    ],
)
def test_a_digest_is_judged_by_its_links(urls: list[str], wrong: str) -> None:
    assert fault(reader("business"), urls, FRESH) == wrong


def test_a_category_with_more_than_a_digest_takes_need_not_be_whole() -> None:
    many = {f"http://site/{number}": frozenset({"world"}) for number in range(11)}
    assert fault(reader("world"), list(many)[:10], many) == ""
