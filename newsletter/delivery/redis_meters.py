"""Due times in Redis, shared by all workers: each call is one script, on the server's clock, and keys that nobody uses
vanish."""

from collections.abc import Sequence
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from newsletter.delivery.limits import PATIENCE, SECOND, Grant, Limit

PREFIX: Final = "newsletter:limit:"
_TIMEOUT: Final = 0.5
"""Seconds; a Redis that takes longer counts as away, and the database's meters are used."""

TAKE: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local wanted, ahead, cold, patience = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1', tonumber(ARGV[4])
local granted, starts, changed = wanted, {}, {}
for i = 1, #KEYS / 2 do
  local interval, tolerance = tonumber(ARGV[4 * i + 1]), tonumber(ARGV[4 * i + 2])
  local due = tonumber(redis.call('GET', KEYS[2 * i - 1]) or 0)
  local floor = now
  if KEYS[2 * i] ~= '' and tonumber(redis.call('GET', KEYS[2 * i]) or 0) > now - patience then
    floor = math.min(now, math.max(now - patience, tonumber(ARGV[4 * i + 4])))
  end
  local start = math.max(math.min(due, now + 2 * tolerance), floor)
  if cold then start = math.max(start, now + tolerance) end
  starts[i], changed[i] = start, cold or due > now + 2 * tolerance
  granted = math.min(granted, math.floor((now + ahead * tolerance - start) / interval))
end
granted = math.max(granted, 0)
local wait = 0
for i = 1, #KEYS / 2 do
  local interval, tolerance = tonumber(ARGV[4 * i + 1]), tonumber(ARGV[4 * i + 2])
  local due = starts[i] + math.ceil(granted * interval)
  if granted > 0 or changed[i] then
    redis.call('SET', KEYS[2 * i - 1], string.format('%.0f', due),
      'PX', math.ceil((math.max(due - now, 0) + 2 * patience) / 1000))
  end
  if granted < wanted then
    local more = math.min(wanted - granted, tonumber(ARGV[4 * i + 3]))
    wait = math.max(wait, due + more * interval - (now + ahead * tolerance))
  end
end
return {granted, string.format('%.0f', wait)}
"""
_GIVE_BACK: Final = """
for i = 1, #KEYS do
  local due = redis.call('GET', KEYS[i])
  if due then
    redis.call('SET', KEYS[i], string.format('%.0f', due - math.floor(ARGV[1] * ARGV[i + 1])), 'KEEPTTL')
  end
end
"""
_LINE_UP: Final = """
local earliest, latest = tonumber(ARGV[3]), tonumber(ARGV[4])
local first = math.max(math.min(tonumber(redis.call('GET', KEYS[1]) or 0), latest), earliest)
local end_ = first + math.ceil(ARGV[1] * ARGV[2])
redis.call('SET', KEYS[1], string.format('%.0f', end_), 'PX', math.ceil((end_ - earliest) / 1000) + 3600000)
return string.format('%.0f', first)
"""


def connect(url: str) -> "redis.Redis":
    """Return a client that gives up soon: sending must not wait for Redis."""
    return redis.Redis.from_url(
        url, socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT, retry=Retry(NoBackoff(), 1)
    )


class RedisMeters:
    """See Meters. Raises redis.RedisError or OSError when Redis is away, full, or not to be written to."""

    def __init__(self, client: "redis.Redis", take: str = TAKE) -> None:
        self._client = client
        self._take = client.register_script(take)
        self._give_back = client.register_script(_GIVE_BACK)
        self._line_up = client.register_script(_LINE_UP)

    def take(self, limits: Sequence[Limit], wanted: int, *, ahead: bool = False, cold: bool = False) -> Grant:
        """See Meters; the same arithmetic as `limits.decide`."""
        keys = [key for limit in limits for key in (PREFIX + limit.key, limit.line and PREFIX + limit.line)]
        numbers: list[Any] = [wanted, 2 if ahead else 1, int(cold), PATIENCE]
        for limit in limits:
            numbers += [repr(limit.interval), limit.tolerance, limit.portion, limit.since]
        granted, wait = self._take(keys=keys, args=numbers)
        return Grant(granted, int(wait) / SECOND)

    def give_back(self, limits: Sequence[Limit], number: int) -> None:
        """See Meters."""
        self._give_back(
            keys=[PREFIX + limit.key for limit in limits], args=[number, *(repr(limit.interval) for limit in limits)]
        )

    def line_up(self, key: str, number: int, interval: float, earliest: int, latest: int) -> int:
        """See Meters."""
        return int(self._line_up(keys=[PREFIX + key], args=[number, repr(interval), earliest, latest]))

    def ping(self) -> None:
        """Raise unless Redis answers."""
        self._client.ping()
