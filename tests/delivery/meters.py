"""The three kinds of meters on a clock that tests move: the real code, and only the time is told."""

import itertools
from dataclasses import dataclass

import redis
from flask import Flask

from newsletter.delivery import redis_meters
from newsletter.delivery.database_meters import DatabaseMeters
from newsletter.delivery.limits import SECOND, Meters, OwnMeters
from newsletter.delivery.redis_meters import RedisMeters

START = 1_790_000_000 * SECOND
KINDS = ("own", "redis", "database")
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

    def take(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]  # handed on as it comes
        """Tell the script the time, and take."""
        self._told.delete(self._key)
        self._told.rpush(self._key, *divmod(self._clock(), SECOND))
        return super().take(*args, **kwargs)  # type: ignore[arg-type]


def database_meters(app: Flask, clock: Clock) -> Meters:
    """Meters in the application's database."""
    return DatabaseMeters(app, clock)


def own_meters(clock: Clock) -> Meters:
    """Meters in memory."""
    return OwnMeters(clock)
