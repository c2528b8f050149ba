"""When a cadence is due: each local date once, in order, on every night that clocks change."""

import datetime
import zoneinfo
from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import example, given, settings

from newsletter.digests.schedule import Due, Hour, instant_of

ZONES = sorted(zoneinfo.available_timezones() - {"localtime", "Factory"})
DAILY = "1234567"


def utc(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("zone", "date", "hour", "minute", "expected"),
    [
        ("UTC", "2026-11-23", 7, 0, "2026-11-23T07:00"),
        ("Asia/Kathmandu", "2026-11-23", 7, 0, "2026-11-23T01:15"),
        ("Pacific/Kiritimati", "2026-11-23", 7, 0, "2026-11-22T17:00"),
        ("Etc/GMT+12", "2026-11-23", 7, 0, "2026-11-23T19:00"),
        ("Europe/Berlin", "2026-03-29", 7, 0, "2026-03-29T05:00"),
        # Two o'clock does not strike: the clocks go from 01:59 to 03:00.
        ("Europe/Berlin", "2026-03-29", 2, 0, "2026-03-29T01:00"),
        ("Europe/Berlin", "2026-03-29", 2, 30, "2026-03-29T01:00"),
        ("Europe/Berlin", "2026-03-29", 2, 59, "2026-03-29T01:00"),
        ("Europe/Berlin", "2026-03-29", 3, 0, "2026-03-29T01:00"),
        # Half past two strikes twice: the first one counts.
        ("Europe/Berlin", "2026-10-25", 2, 30, "2026-10-25T00:30"),
        ("Australia/Lord_Howe", "2026-10-04", 2, 15, "2026-10-03T15:30"),
        ("Africa/Cairo", "2026-04-24", 0, 30, "2026-04-23T22:00"),
        # The last hour of the day is jumped over: the next minute that exists is tomorrow's first.
        ("America/Nuuk", "2026-03-28", 23, 30, "2026-03-29T01:00"),
        ("No/Such_Zone", "2026-11-23", 7, 0, "2026-11-23T07:00"),
        ("../etc/passwd", "2026-11-23", 7, 0, "2026-11-23T07:00"),
    ],
)
def test_an_hour_has_one_instant_on_each_date(zone: str, date: str, hour: int, minute: int, expected: str) -> None:
    assert instant_of(datetime.date.fromisoformat(date), hour, minute, zone) == utc(expected)


def test_a_date_that_a_zone_left_out_has_none() -> None:
    assert instant_of(datetime.date(2011, 12, 30), 7, 0, "Pacific/Apia") is None
    due = Hour(DAILY, 7, 0).latest("Pacific/Apia", utc("2011-12-31T12:00"))
    assert due == Due("2011-12-31", utc("2011-12-30T17:00"))


@settings(max_examples=150, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    start=st.dates(datetime.date(1995, 1, 1), datetime.date(2037, 1, 1)),
)
@example("Europe/Berlin", 2, 30, datetime.date(2026, 3, 27))
@example("Europe/Berlin", 2, 30, datetime.date(2026, 10, 23))
@example("Africa/Casablanca", 2, 30, datetime.date(2026, 2, 13))
@example("Antarctica/Troll", 1, 30, datetime.date(2026, 3, 27))
@example("America/Nuuk", 23, 59, datetime.date(2026, 3, 27))
@example("America/Havana", 0, 30, datetime.date(2026, 10, 30))
@example("Pacific/Apia", 0, 0, datetime.date(2011, 12, 28))
def test_each_local_date_comes_once_and_in_order(zone: str, hour: int, minute: int, start: datetime.date) -> None:
    info = zoneinfo.ZoneInfo(zone)
    plan = Hour(DAILY, hour, minute)
    now = datetime.datetime.combine(start, datetime.time(), info).astimezone(datetime.UTC)
    dues = []
    for _ in range(6):
        due = plan.next(zone, now)
        assert due is not None
        assert due.instant > now
        assert plan.latest(zone, due.instant) == due
        assert plan.next(zone, due.instant - datetime.timedelta(seconds=1)) == due
        dues.append(due)
        now = due.instant
    for earlier, later in pairwise(dues):
        assert earlier.period < later.period
        assert earlier.instant < later.instant
        one, other = (datetime.date.fromisoformat(due.period) for due in (earlier, later))
        # Only a date that the zone never had may be missing.
        assert (other - one).days == 1 or (zone, earlier.period) in {
            ("Pacific/Apia", "2011-12-29"),
            ("Pacific/Fakaofo", "2011-12-29"),
            ("Pacific/Enderbury", "1994-12-30"),
            ("Pacific/Kanton", "1994-12-30"),
            ("Pacific/Kiritimati", "1994-12-30"),
        }
    for due in dues:
        local = due.instant.astimezone(info)
        wall = datetime.datetime.combine(datetime.date.fromisoformat(due.period), datetime.time(hour, minute))
        # At the hour, or at the first minute after a gap of at most two hours.
        assert datetime.timedelta() <= local.replace(tzinfo=None) - wall <= datetime.timedelta(hours=2)


@settings(max_examples=100, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    now=st.datetimes(datetime.datetime(2020, 1, 1), datetime.datetime(2036, 1, 1), timezones=st.just(datetime.UTC)),
    weekdays=st.sets(st.sampled_from(DAILY), min_size=1).map(lambda days: "".join(sorted(days))),
    hour=st.integers(0, 23),
)
def test_now_lies_between_the_latest_and_the_next(zone: str, now: datetime.datetime, weekdays: str, hour: int) -> None:
    plan = Hour(weekdays, hour, 0)
    latest, following = plan.latest(zone, now), plan.next(zone, now)
    assert latest is not None
    assert following is not None
    assert latest.instant <= now < following.instant
    assert plan.next(zone, latest.instant) == following
    for due in (latest, following):
        assert str(datetime.date.fromisoformat(due.period).isoweekday()) in weekdays


def test_a_cadence_without_weekdays_is_never_due() -> None:
    assert Hour("", 7, 0).latest("UTC", utc("2026-11-23T08:00")) is None
    assert Hour("", 7, 0).next("UTC", utc("2026-11-23T08:00")) is None


def test_zones_that_reach_the_hour_together_are_one_wave() -> None:
    zones = ["Europe/Paris", "Pacific/Kiritimati", "Europe/Berlin", "America/New_York", "Pacific/Honolulu"]
    waves = Hour(DAILY, 7, 0).waves(zones, utc("2026-11-23T06:00"))
    assert waves == {
        Due("2026-11-22", utc("2026-11-22T12:00")): ["America/New_York"],
        Due("2026-11-22", utc("2026-11-22T17:00")): ["Pacific/Honolulu"],
        Due("2026-11-23", utc("2026-11-22T17:00")): ["Pacific/Kiritimati"],
        Due("2026-11-23", utc("2026-11-23T06:00")): ["Europe/Berlin", "Europe/Paris"],
    }
