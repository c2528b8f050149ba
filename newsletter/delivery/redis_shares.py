"""Sharing out a relay's connections by what all workers say in Redis."""

import datetime
import json
from typing import Any, Final

import redis

from newsletter.delivery.redis_meters import PREFIX
from newsletter.delivery.sharing import STANDS, Claim, Shares, claim

_AWAY_FOR: Final = datetime.timedelta(seconds=10)


class RedisShares:
    """Claims in Redis; those of `behind` while it is away."""

    def __init__(self, client: "redis.Redis", owner: str, behind: Shares) -> None:
        self._client, self._owner, self._behind = client, owner, behind
        self._away_until: datetime.datetime | None = None
        self._sharers = 1

    def share(self, key: str, wanted: int, total: int, now: datetime.datetime) -> int:
        """See Shares."""
        if self._away_until is None or not now < self._away_until < now + 2 * _AWAY_FOR:
            try:
                return self._in_redis(f"{PREFIX}share:{key}", wanted, total)
            except (redis.RedisError, OSError):
                self._away_until = now + _AWAY_FOR
        mine = self._behind.share(key, wanted, total, now)
        self._sharers = self._behind.sharers()
        return mine

    def sharers(self) -> int:
        """See Shares."""
        return self._sharers

    def _in_redis(self, key: str, wanted: int, total: int) -> int:
        claims: dict[str, Claim] = {}

        def change(pipe: Any) -> None:
            seconds, micros = pipe.time()
            kept = json.loads(pipe.get(key) or b"{}")
            known = {name: Claim(*values) for name, values in kept.items()}
            claims.clear()
            claims.update(claim(known, self._owner, wanted, total, seconds + micros / 1e6))
            pipe.multi()
            rows = {name: (one.wanted, one.held, one.until) for name, one in claims.items()}
            pipe.set(key, json.dumps(rows), px=int(STANDS * 2000))

        self._client.transaction(change, key)
        self._sharers = max(1, len(claims))
        return claims[self._owner].held
