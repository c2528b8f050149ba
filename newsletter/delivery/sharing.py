"""Sharing out a relay's connections: all workers together open no more than it takes, and whoever needs them gets them.

In Redis each worker says how many it wants and is told how many it may hold; a new one gets its share as soon as the
others have let go of theirs. Without Redis, or while it is away, each of the workers that were seen lately counts
alike.
"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from flask import Flask

from newsletter.delivery import workers
from newsletter.foundation.db import db

STANDS: Final = 30.0
"""Seconds for which a worker that does not ask again keeps what it holds."""


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
