"""A clock that tests move, and meters in a real Redis that go by it."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import redis

from newsletter.delivery import redis_meters
from newsletter.delivery.limits import SECOND, Grant, Limit
from newsletter.delivery.redis_meters import RedisMeters

START = 1_790_000_000 * SECOND
_numbers = itertools.count()


@dataclass
class Clock:
    """A clock that stands still until it is moved; microseconds."""

    now: int = START

    def __call__(self, *_: object) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self.now += round(seconds * SECOND)


class TimedRedisMeters(RedisMeters):
    """Meters in a real Redis, whose script reads the test's clock where it would ask the server's."""

    def __init__(self, client: "redis.Redis", clock: Clock) -> None:
        self._clock = clock
        self._told = client
        self._key = f"clock:{next(_numbers)}"
        assert redis_meters.TAKE.count("redis.call('TIME')") == 1
        super().__init__(client, redis_meters.TAKE.replace("'TIME'", f"'LRANGE', '{self._key}', 0, -1"))

    def take(self, limits: Sequence[Limit], wanted: int, *, ahead: bool = False, cold: bool = False) -> Grant:
        """Tell the script the time, and take."""
        self._told.delete(self._key)
        self._told.rpush(self._key, *divmod(self._clock(), SECOND))
        return super().take(limits, wanted, ahead=ahead, cold=cold)
