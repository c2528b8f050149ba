"""Paces: two by default, theirs to change, with slugs that never do."""

from dataclasses import replace

import pytest

from newsletter.audience import cadences, leaving
from newsletter.audience.cadences import Pace
from newsletter.foundation.db import transaction
from newsletter.foundation.errors import ConflictError, InvalidError, NotFoundError
from tests.audience.conftest import DAILY, SOURCE, WEEKLY, Room
from tests.conftest import NOW


def test_daily_and_weekly_are_there_by_default(room: Room) -> None:
    daily, weekly = cadences.listed(room.session)
    assert (daily.slug, daily.weekdays, daily.hour, daily.minute) == ("daily", "1234567", 7, 0)
    assert (weekly.slug, weekly.weekdays, weekly.hour, weekly.minute) == ("weekly", "1", 7, 0)
    assert daily.daily
    assert not weekly.daily


def test_defaults_do_not_come_back_over_what_operators_made_of_them(room: Room) -> None:
    with transaction() as session:
        cadences.change(session, DAILY, Pace("Every morning", hour=6))
        cadences.archive(session, WEEKLY, NOW)
        cadences.ensure_defaults(session)
    assert [(one.slug, one.name, one.hour) for one in cadences.listed(room.session)] == [("daily", "Every morning", 6)]
    assert len(cadences.listed(room.session, archived=True)) == 2


def test_a_new_pace_is_tidied(room: Room) -> None:
    with transaction() as session:
        made = cadences.add(
            session,
            "weekend",
            Pace(
                " The\n weekend ",
                weekdays="7667",
                utm={"utm_source": " mail "},
                copies=["Ed@Example.org", "Ed@example.org"],
            ),
        )
    assert (made.name, made.weekdays, made.utm) == ("The weekend", "67", {"utm_source": "mail"})
    assert made.copies == ["Ed@example.org"]
    assert cadences.by_slug(room.session, "weekend").id == made.id


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": " "},
        {"weekdays": ""},
        {"weekdays": "18"},
        {"hour": 24},
        {"hour": -1},
        {"minute": 60},
        {"max_per_category": 0},
        {"subject_text": "x" * 201},
        {"utm": {"javascript": "x"}},
        {"copies": ["nobody"]},
        {"max_lateness_minutes": 0},
        {"alarm_minutes": 2000},
    ],
)
def test_a_pace_that_cannot_be_is_refused(room_on_sqlite: Room, wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidError), transaction() as session:
        cadences.change(session, DAILY, replace(Pace("Daily"), **wrong))  # type: ignore[arg-type]  # wrong on purpose
    assert cadences.get(room_on_sqlite.session, DAILY).hour == 7


@pytest.mark.parametrize("slug", ["Weekend", "week end", "", "-x", "a" * 61, "ünd", "x.y", "x\n"])
def test_a_slug_is_fit_for_a_list_id(room_on_sqlite: Room, slug: str) -> None:
    with pytest.raises(InvalidError), transaction() as session:
        cadences.add(session, slug, Pace("X"))


def test_a_slug_belongs_to_one_cadence_for_ever(room_on_sqlite: Room) -> None:
    with transaction() as session:
        cadences.archive(session, WEEKLY, NOW)
    with pytest.raises(ConflictError), transaction() as session:
        cadences.add(session, "weekly", Pace("Weekly"))
    with pytest.raises(NotFoundError):
        cadences.by_slug(room_on_sqlite.session, "hourly")


def test_a_cadence_that_is_read_or_the_last_one_stays(room: Room) -> None:
    reader = room.reader(cadence=WEEKLY)
    with pytest.raises(ConflictError, match="still"), transaction() as session:
        cadences.archive(session, WEEKLY, NOW)
    with transaction() as session:
        leaving.leave_all(session, reader, NOW, SOURCE)
        cadences.archive(session, WEEKLY, NOW)
    with pytest.raises(ConflictError, match="one cadence"), transaction() as session:
        cadences.archive(session, DAILY, NOW)
