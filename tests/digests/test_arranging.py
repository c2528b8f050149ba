"""How a digest is laid out."""

import datetime

from newsletter.digests.arranging import Piece, Section, Selection, arrange, newest_first
from tests.conftest import NOW

BUSINESS, WORLD, SPORT = 7, 3, 5
"""In the site's order, which is not that of their ids."""


def piece(number: int, story: str = "", pinned: int = 0) -> Piece:
    """An article whose id is a hundred above its number."""
    pinned_at = NOW + datetime.timedelta(minutes=pinned) if pinned else None
    return Piece(100 + number, number, story or f"story {number}", NOW + datetime.timedelta(hours=number), pinned_at)


def shelf(**numbers: list[Piece]) -> dict[int, tuple[Piece, ...]]:
    ids = {"business": BUSINESS, "world": WORLD, "sport": SPORT}
    return {ids[name]: newest_first(pieces) for name, pieces in numbers.items()}


def test_sections_stand_in_the_sites_order_and_articles_newest_first() -> None:
    given = shelf(business=[piece(1), piece(4)], world=[piece(2), piece(3)], sport=[piece(9)])
    assert arrange(given, {WORLD: 0, BUSINESS: 0}, limit=10) == Selection(
        (Section(BUSINESS, (104, 101)), Section(WORLD, (103, 102)))
    )


def test_only_what_is_new_in_each_category_is_shown() -> None:
    given = shelf(business=[piece(1), piece(2)], world=[piece(1), piece(3)])
    assert arrange(given, {BUSINESS: 1, WORLD: 3}, limit=10) == Selection((Section(BUSINESS, (102,)),))


def test_an_article_of_two_categories_stands_once_where_the_site_has_it_first() -> None:
    both = piece(5)
    given = shelf(business=[both], world=[both, piece(4)])
    assert arrange(given, {BUSINESS: 0, WORLD: 0}, limit=10) == Selection(
        (Section(BUSINESS, (105,)), Section(WORLD, (104,)))
    )
    assert arrange(given, {WORLD: 0}, limit=10) == Selection((Section(WORLD, (105, 104)),))


def test_a_story_of_two_feeds_stands_once() -> None:
    given = shelf(business=[piece(1, "same"), piece(2, "same")], world=[piece(3, "same")])
    assert arrange(given, {BUSINESS: 0, WORLD: 0}, limit=10) == Selection((Section(BUSINESS, (102,)),))


def test_more_than_the_limit_is_left_to_the_site() -> None:
    given = shelf(business=[piece(number) for number in range(1, 8)], world=[piece(20)])
    assert arrange(given, {BUSINESS: 1, WORLD: 0}, limit=4) == Selection(
        (Section(BUSINESS, (107, 106, 105, 104), more=2), Section(WORLD, (120,)))
    )


def test_what_was_had_or_stopped_is_not_shown() -> None:
    given = shelf(business=[piece(1), piece(2), piece(3)])
    assert arrange(given, {BUSINESS: 0}, frozenset({2}), limit=10, stopped={103}) == Selection(
        (Section(BUSINESS, (101,)),)
    )
    nothing = arrange(given, {BUSINESS: 2}, frozenset({3}), limit=10)
    assert not nothing
    assert nothing.lead is None


def test_what_is_pinned_leads_the_digest_even_beyond_the_limit() -> None:
    given = shelf(business=[piece(9)], world=[piece(1, pinned=1), *(piece(number) for number in range(2, 6))])
    selection = arrange(given, {BUSINESS: 0, WORLD: 0}, limit=2)
    assert selection == Selection((Section(WORLD, (101, 105), more=3), Section(BUSINESS, (109,))))
    assert selection.lead == 101
    assert selection.articles == 3


def test_of_several_pinned_articles_the_last_one_leads() -> None:
    given = shelf(business=[piece(1, pinned=5), piece(2)], world=[piece(3, pinned=9)])
    assert arrange(given, {BUSINESS: 0, WORLD: 0}, limit=10).lead == 103
    assert arrange(given, {BUSINESS: 0}, limit=10).lead == 101


def test_whoever_does_not_get_the_pinned_article_has_their_own_lead() -> None:
    given = shelf(business=[piece(1), piece(2)], world=[piece(3, pinned=1)])
    assert arrange(given, {BUSINESS: 0}, limit=10).lead == 102
