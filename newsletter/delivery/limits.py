"""Limits of speed, by GCRA (generic cell rate algorithm, ITU-T I.371 annex A): one number for each limit, its *due*
time, says all that there is to know about the past.

A message moves the due time on by the limit's interval. It may go while the due time is not further ahead of the clock
than the limit's tolerance. So messages come evenly, and no stretch of time, wherever it begins, holds more than the
limit allows and one tolerance. This module decides; where due times are kept, its neighbours know (`redis_meters`,
`database_meters`). All times are microseconds since the epoch.
"""

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from newsletter.foundation.clock import utc_now

SECOND: Final = 1_000_000
"""Microseconds."""
PATIENCE: Final = 30 * SECOND
"""How long a place in a line stays good for whoever is fetched from there: twice the time between two sweeps."""
_TOLERANCE: Final = SECOND // 2
"""A minute holds at most 0.83 % more than its limit, 1.67 % with what was taken ahead; and who asks again half a second
late loses nothing."""
_MANY: Final = 10_000


@dataclass(frozen=True, slots=True)
class Limit:
    """At most one message in `interval` microseconds, with a little tolerance."""

    key: str
    """Whose limit it is, the same for all workers."""
    interval: float
    line: str = ""
    """Key of the line of those who wait for this limit. While somebody is in it, what is not used is kept for them."""
    since: int = 0
    """From when on: nothing was left unused before that."""

    @classmethod
    def of(cls, key: str, number: float, seconds: int, line: str = "", since: int = 0) -> "Limit":
        """Return the limit of `number` messages in `seconds`, spread evenly."""
        return cls(key, seconds * SECOND / number, line, since)

    @property
    def tolerance(self) -> int:
        """How far ahead of the clock the due time may be: half a second, or one message where they are rarer."""
        return max(math.ceil(self.interval), _TOLERANCE)

    @property
    def portion(self) -> int:
        """How many messages are worth waiting for: a quarter of a second's, at least one."""
        return max(1, int(self.tolerance / 2 / self.interval))


@dataclass(frozen=True, slots=True)
class Grant:
    """How many messages may go now."""

    granted: int
    wait: float = 0.0
    """Seconds after which it is worth asking for the rest; 0 when there is no rest."""


class Meters(Protocol):
    """Where due times are kept. Whoever asks may be one of many; each call is atomic."""

    def take(self, limits: Sequence[Limit], wanted: int, *, ahead: bool = False, cold: bool = False) -> Grant:
        """Take up to `wanted` messages from all limits at once: as many as the strictest allows.

        `ahead`: twice the tolerance, so that whoever may do so overtakes all others: they get nothing until the due
        time is back within the tolerance. `cold`: with none of the tolerance, where the past is not known here.
        """

    def give_back(self, limits: Sequence[Limit], number: int) -> None:
        """Give back messages that were taken and did not go."""

    def line_up(self, key: str, number: int, interval: float, earliest: int, latest: int) -> int:
        """Put `number` messages at the end of a line that moves on by one in `interval`; return the time of the first.

        The line's end is taken to be not before `earliest` and not after `latest`.
        """


def decide(
    limits: Sequence[Limit],
    dues: Sequence[int],
    ends: Sequence[int],
    wanted: int,
    now: int,
    *,
    ahead: bool = False,
    cold: bool = False,
) -> tuple[Grant, list[int]]:
    """Return what may go, and the new due times.

    `dues` and `ends` (of the limits' lines) are 0 where nothing is known. A due time further ahead than anybody could
    have put it (the clock was set back, the limit was raised) counts as the furthest possible.
    """
    granted, starts = wanted, []
    for limit, due, end in zip(limits, dues, ends, strict=True):
        floor = min(now, max(now - PATIENCE, limit.since)) if end > now - PATIENCE else now
        start = max(min(due, now + 2 * limit.tolerance), floor)
        if cold:
            start = max(start, now + limit.tolerance)
        starts.append(start)
        granted = min(granted, math.floor((_reach(limit, now, ahead=ahead) - start) / limit.interval))
    granted = max(granted, 0)
    after = [
        start + math.ceil(granted * limit.interval) if granted else start
        for limit, start in zip(limits, starts, strict=True)
    ]
    wait = 0.0
    if granted < wanted:
        for limit, due in zip(limits, after, strict=True):
            more = min(wanted - granted, limit.portion)
            wait = max(wait, due + more * limit.interval - _reach(limit, now, ahead=ahead))
    return Grant(granted, wait / SECOND), after


def given_back(limit: Limit, due: int, number: int) -> int:
    """Return the due time after `number` messages that did not go."""
    return due - math.floor(number * limit.interval)


def in_line(end: int, number: int, interval: float, earliest: int, latest: int) -> tuple[int, int]:
    """Return the time of the first of `number` messages in a line, and the line's new end."""
    first = max(min(end, latest), earliest)
    return first, first + math.ceil(number * interval)


def microseconds() -> int:
    """Return the current instant."""
    return int(utc_now().timestamp() * SECOND)


class OwnMeters:
    """Due times in this process's memory: right where only one process sends."""

    def __init__(self, clock: Callable[[], int] = microseconds) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._dues: dict[str, int] = {}

    def take(self, limits: Sequence[Limit], wanted: int, *, ahead: bool = False, cold: bool = False) -> Grant:
        """See Meters."""
        with self._lock:
            dues = [self._dues.get(limit.key, 0) for limit in limits]
            ends = [self._dues.get(limit.line, 0) for limit in limits]
            grant, after = decide(limits, dues, ends, wanted, self._clock(), ahead=ahead, cold=cold)
            self._dues.update(zip((limit.key for limit in limits), after, strict=True))
            if len(self._dues) > _MANY:
                self._dues = {key: due for key, due in self._dues.items() if due > self._clock() - 2 * PATIENCE}
        return grant

    def give_back(self, limits: Sequence[Limit], number: int) -> None:
        """See Meters."""
        with self._lock:
            for limit in limits:
                if limit.key in self._dues:
                    self._dues[limit.key] = given_back(limit, self._dues[limit.key], number)

    def line_up(self, key: str, number: int, interval: float, earliest: int, latest: int) -> int:
        """See Meters."""
        with self._lock:
            first, self._dues[key] = in_line(self._dues.get(key, 0), number, interval, earliest, latest)
        return first


def _reach(limit: Limit, now: int, *, ahead: bool) -> int:
    """Return how far the due time may go."""
    return now + (2 if ahead else 1) * limit.tolerance
