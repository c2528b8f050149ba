"""When a cadence is due, zone by zone. Pure: takes values, reads no table and no clock.

A period is a local date. Each has one instant per zone: an hour that the clocks jump over (spring) is taken at the next
minute that exists, one that they show twice (autumn) the first time. A date that a zone left out altogether, as Samoa
did with 2011-12-30 when it crossed the date line, has none.
"""

import datetime
import functools
from collections import defaultdict
from collections.abc import Iterable
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_DAY: Final = datetime.timedelta(days=1)
_MINUTE: Final = datetime.timedelta(minutes=1)
_SEARCH_DAYS: Final = 16
"""A weekly date may fall on a day that a zone left out; the one before it is at most this far away."""


class Due(NamedTuple):
    """A local date (`2026-11-23`) and the instant at which a zone's clocks reach the cadence's hour on it."""

    period: str
    instant: datetime.datetime


class Hour(NamedTuple):
    """A cadence's hour: ISO weekdays (`1234567`), hour and minute, on the reader's own clock."""

    weekdays: str
    hour: int
    minute: int

    def latest(self, zone: str, now: datetime.datetime) -> Due | None:
        """Return what was due last in `zone`, at `now` or before it; None where no weekday is chosen."""
        # An instant is never earlier than its wall time says, but local midnight may repeat: look from tomorrow on.
        first = now.astimezone(zone_of(zone)).date() + _DAY
        for back in range(_SEARCH_DAYS):
            due = self._on(first - back * _DAY, zone)
            if due is not None and due.instant <= now:
                return due
        return None

    def next(self, zone: str, now: datetime.datetime) -> Due | None:
        """Return what is due next in `zone`, after `now`; None where no weekday is chosen."""
        # Yesterday's hour may have been jumped over at midnight, which puts it on today.
        first = now.astimezone(zone_of(zone)).date() - _DAY
        for ahead in range(_SEARCH_DAYS):
            due = self._on(first + ahead * _DAY, zone)
            if due is not None and due.instant > now:
                return due
        return None

    def waves(self, zones: Iterable[str], now: datetime.datetime) -> dict[Due, list[str]]:
        """Group zones by what was due in them last: zones that reach the hour together are one wave."""
        waves: defaultdict[Due, list[str]] = defaultdict(list)
        for zone in sorted(zones):
            due = self.latest(zone, now)
            if due is not None:
                waves[due].append(zone)
        return dict(sorted(waves.items(), key=lambda wave: (wave[0].instant, wave[0].period)))

    def _on(self, date: datetime.date, zone: str) -> Due | None:
        if str(date.isoweekday()) not in self.weekdays:
            return None
        instant = instant_of(date, self.hour, self.minute, zone)
        return None if instant is None else Due(date.isoformat(), instant)


@functools.cache
def zone_of(name: str) -> ZoneInfo:
    """Return the zone; UTC for a name that the machine's data does not know: one such reader must not stop the rest."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


@functools.lru_cache(maxsize=20_000)
def instant_of(date: datetime.date, hour: int, minute: int, zone: str) -> datetime.datetime | None:
    """Return the UTC instant at which clocks in `zone` show that time on `date`; None if they never show that date."""
    info = zone_of(zone)
    instant = _resolve(date, datetime.time(hour, minute), info)
    if (
        instant.astimezone(info).date() != date
        and _resolve(date, datetime.time(), info).astimezone(info).date() != date
    ):
        return None
    return instant


def _resolve(date: datetime.date, time: datetime.time, zone: ZoneInfo) -> datetime.datetime:
    wall = datetime.datetime.combine(date, time, zone)
    first = wall.astimezone(datetime.UTC)
    if first.astimezone(zone).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return first
    # The clocks jump over it. Read with the offset before the jump it lies after it, with the one after it before:
    # halve that stretch until the jump is found (PEP 495).
    before = wall.replace(fold=1).astimezone(datetime.UTC)
    after, offset = first, first.astimezone(zone).utcoffset()
    while after - before > datetime.timedelta(seconds=1):
        middle = before + (after - before) // 2
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    jump = after.replace(microsecond=0)
    return jump if not jump.second else jump.replace(second=0) + _MINUTE
