"""Sharing out a relay's connections: all workers together open no more than it takes, and whoever needs them gets them.

In Redis each worker says how many it wants and is told how many it may hold; a new one gets its share as soon as the
others have let go of theirs. Without Redis, or while it is away, each of the workers that were seen lately counts
alike.
"""

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import redis
from flask import Flask

from newsletter.delivery import workers
from newsletter.delivery.redis_meters import PREFIX, connect
from newsletter.foundation.db import db
from newsletter.foundation.settings import Settings

STANDS: Final = 30.0
"""Seconds for which a worker that does not ask again keeps what it holds."""
_AWAY_FOR: Final = datetime.timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Claim:
    """What one worker wants and holds."""

    wanted: int
    held: int
    until: float
    """Seconds since the epoch."""


class Shares(Protocol):
    """Where claims are kept."""

    def share(self, key: str, wanted: int, total: int, now: datetime.datetime) -> int:
        """Return how many of `total` this worker may hold from now on; the rest of what it held is let go."""

    def sharers(self) -> int:
        """Return how many workers shared when it was last asked, at least 1."""


def fair(total: int, wants: Mapping[str, int]) -> dict[str, int]:
    """Share `total` out: nobody gets more than they want, and what one leaves goes to the others alike."""
    given: dict[str, int] = {}
    for place, (wanted, owner) in enumerate(sorted((wanted, owner) for owner, wanted in wants.items())):
        given[owner] = min(wanted, total // (len(wants) - place))
        total -= given[owner]
    return given


def claim(claims: Mapping[str, Claim], owner: str, wanted: int, total: int, now: float) -> dict[str, Claim]:
    """Return all claims that stand, with the one of `owner` made anew: its fair share, but only what is free."""
    others = {name: one for name, one in claims.items() if one.until > now and name != owner}
    wants = {name: one.wanted for name, one in others.items()} | {owner: wanted}
    free = max(0, total - sum(one.held for one in others.values()))
    return others | {owner: Claim(wanted, min(fair(total, wants)[owner], free), now + STANDS)}


class AllMine:
    """For the only process that sends."""

    def share(self, key: str, wanted: int, total: int, now: datetime.datetime) -> int:  # noqa: ARG002  (see Shares)
        """See Shares."""
        return min(wanted, total)

    def sharers(self) -> int:
        """See Shares."""
        return 1


class TableShares:
    """By the table of workers: all that were seen lately count alike."""

    def __init__(self, app: Flask, owner: str) -> None:
        self._app, self._owner, self._sharers = app, owner, 1

    def share(self, key: str, wanted: int, total: int, now: datetime.datetime) -> int:  # noqa: ARG002  (see Shares)
        """See Shares."""
        with self._app.app_context():
            names = {worker.name for worker in workers.at_work(db.session(), now)} | {self._owner}
        self._sharers = len(names)
        return min(wanted, fair(total, dict.fromkeys(names, total))[self._owner])

    def sharers(self) -> int:
        """See Shares."""
        return self._sharers


class RedisShares:
    """By what all workers say in Redis."""

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


def choose(app: Flask, settings: Settings, owner: str) -> Shares:
    """Return the shares for this process. On SQLite only one process sends."""
    if settings.database.startswith("sqlite"):
        return AllMine()
    table = TableShares(app, owner)
    return RedisShares(connect(settings.redis_url), owner, table) if settings.redis_url else table
