"""Meters in Redis with the database's behind them."""

import logging
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import redis

from newsletter.delivery.database_meters import DatabaseMeters
from newsletter.delivery.limits import SECOND, Grant, Limit, Meters, microseconds
from newsletter.delivery.redis_meters import RedisMeters

log = logging.getLogger(__name__)
AWAY: Final = "redis away until"
_AWAY_FOR: Final = 10 * SECOND
"""How long everybody uses the database's meters after somebody could not reach Redis."""
_PROLONG: Final = 3 * SECOND
"""Before the end of it, who still cannot reach Redis says so: longer than anybody goes without looking."""
_LOOK: Final = SECOND
T = TypeVar("T")


class FailingOver:
    """Meters in Redis; while one worker cannot reach it, all workers use the database's.

    All of them together, because a limit that is kept in two places at once would be twice as high: who cannot reach
    Redis says in the database until when it is left alone, and everybody looks there each second. Whoever changes over
    starts without tolerance, as the past was counted elsewhere.
    """

    def __init__(self, first: RedisMeters, second: DatabaseMeters, clock: Callable[[], int] = microseconds) -> None:
        self._first, self._second, self._clock = first, second, clock
        self._until = 0
        self._looked = 0
        self._used: Meters | None = None
        self._cold = False

    def take(self, limits: Sequence[Limit], wanted: int, *, ahead: bool = False, cold: bool = False) -> Grant:
        """See Meters."""
        grant = self._use(lambda meters: meters.take(limits, wanted, ahead=ahead, cold=cold or self._cold))
        self._cold = False
        return grant

    def give_back(self, limits: Sequence[Limit], number: int) -> None:
        """See Meters. What was taken from the other meters is not given back to these."""
        self._use(lambda meters: None if self._cold else meters.give_back(limits, number))

    def line_up(self, key: str, number: int, interval: float, earliest: int, latest: int) -> int:
        """See Meters."""
        return self._use(lambda meters: meters.line_up(key, number, interval, earliest, latest))

    def _use(self, act: Callable[[Meters], T]) -> T:
        if not self._away():
            try:
                return self._on(self._first, act)
            except (redis.RedisError, OSError) as error:
                self._leave(error)
        return self._on(self._second, act)

    def _on(self, meters: Meters, act: Callable[[Meters], T]) -> T:
        self._cold = self._cold or self._used not in (None, meters)
        self._used = meters
        return act(meters)

    def _away(self) -> bool:
        now = self._clock()
        if not 0 <= now - self._looked < _LOOK:
            self._until, self._looked = max(self._until, self._second.look(AWAY)), now
            if now < self._until < now + _PROLONG:
                try:
                    self._first.ping()
                except (redis.RedisError, OSError) as error:
                    self._leave(error)
        return now < min(self._until, now + 2 * _AWAY_FOR)

    def _leave(self, error: Exception) -> None:
        log.warning("Redis is away; limits are kept in the database", extra={"reason": type(error).__name__})
        self._until = self._clock() + _AWAY_FOR
        self._second.put(AWAY, self._until)
