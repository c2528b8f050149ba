"""Slowing down when asked to, and coming back: additive increase, multiplicative decrease, shared by all workers.

An answer that asks for less halves the share of whoever gave it, a minute of accepted mail gives one connection's worth
back. An answer that speaks of our rate (x.7.28) stops all mail to those hosts for ten minutes; then it goes on with one
connection's worth (standards S4, S5). A row is written when a share changes, never for each message.
"""

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from newsletter.delivery.lines import move_up
from newsletter.delivery.models import Relay, Slowdown
from newsletter.delivery.replies import Outcome
from newsletter.foundation.db import insert_new, lock_rows
from newsletter.foundation.errors import NotFoundError

SETTLES: Final = datetime.timedelta(seconds=10)
"""After a change: answers to what was on the wire before it say nothing about it."""
STEP: Final = datetime.timedelta(minutes=1)
STOP: Final = datetime.timedelta(minutes=10)
LEAST: Final = 1 / 64
FORGET_AFTER: Final = datetime.timedelta(days=1)
"""What was not touched for so long is over: no mail has gone there since."""
_STOPS: Final = re.compile(r"[45]\.7\.28\b")
_RELAY: Final = "relay:"
_HOSTS: Final = "hosts:"


def relay_key(relay_id: int) -> str:
    """Return the key of a relay's slowdown."""
    return f"{_RELAY}{relay_id}"


def hosts_key(group: str) -> str:
    """Return the key of a host group's slowdown."""
    return f"{_HOSTS}{group}"


def stops(outcome: Outcome) -> bool:
    """Say whether the answer asks to stop for a while: we send too much, whatever else it says (standards S5)."""
    return outcome.code is not None and _STOPS.match(outcome.text) is not None


@dataclass(frozen=True, slots=True)
class Standing:
    """How far somebody is slowed down."""

    share: float
    changed_at: datetime.datetime
    stopped_until: datetime.datetime | None = None
    pace: float | None = None
    because: str = ""

    @classmethod
    def of(cls, row: Slowdown) -> "Standing":
        """Return what a row says."""
        return cls(row.share, row.changed_at, row.stopped_until, row.pace, row.because)

    def is_stopped(self, now: datetime.datetime) -> bool:
        """Say whether nothing may go there at all."""
        return self.stopped_until is not None and now < self.stopped_until


def halved(old: Standing | None, now: datetime.datetime, because: str, pace: float | None) -> Standing | None:
    """Return what an answer that asks for less makes of it; None: nothing, it was answered lately."""
    if old is None:
        return Standing(0.5, now, None, pace, because)
    if old.is_stopped(now) or now < _since(old) + SETTLES:
        return None
    return Standing(max(LEAST, old.share / 2), now, None, old.pace or pace, because)


def stopped(
    old: Standing | None, now: datetime.datetime, because: str, pace: float | None, connections: int
) -> Standing | None:
    """Return what an answer that asks to stop makes of it; None: it stands already."""
    if old is not None and old.is_stopped(now):
        return None
    share = max(LEAST, min(1 / max(1, connections), old.share if old else 1.0))
    return Standing(share, now, now + STOP, (old.pace if old else None) or pace, because)


def given_back(old: Standing, now: datetime.datetime, connections: int) -> Standing | None:
    """Return what accepted mail makes of it: one connection's worth more, at most once a minute. None: nothing yet.

    A share of 1 means that it is over.
    """
    if now < _since(old) + STEP:
        return None
    share = min(1.0, old.share + 1 / max(1, connections))
    return Standing(share, now, None, old.pace, old.because)


def change(session: Session, key: str, old: Standing | None, new: Standing, now: datetime.datetime) -> None:
    """Write `new` in the place of `old`, unless another worker was faster."""
    values = {
        "share": new.share,
        "pace": new.pace,
        "stopped_until": new.stopped_until,
        "because": new.because,
        "changed_at": new.changed_at,
    }
    if old is None:
        session.execute(insert_new(session, Slowdown).values(key=key, **values))
    elif new.share >= 1 and new.stopped_until is None:
        session.execute(delete(Slowdown).where(Slowdown.key == key, Slowdown.changed_at == old.changed_at))
        move_up(session, now)  # those who wait for it were told times at the slower pace
    else:
        session.execute(
            update(Slowdown).where(Slowdown.key == key, Slowdown.changed_at == old.changed_at).values(values)
        )


def standing(session: Session) -> dict[str, Standing]:
    """Return all that is slowed down."""
    return {row.key: Standing.of(row) for row in session.scalars(select(Slowdown)).all()}


def forget(session: Session, now: datetime.datetime) -> None:
    """End what no mail has touched for a day."""
    session.execute(delete(Slowdown).where(Slowdown.changed_at < now - FORGET_AFTER))


@dataclass(frozen=True, slots=True)
class Slowed:
    """Something that is slowed down, in words for operators."""

    key: str
    name: str
    """`relay NAME`, or the group of mail hosts."""
    what: str
    """What that means just now: a sentence."""
    because: str
    share: float
    stopped_until: datetime.datetime | None
    changed_at: datetime.datetime


def slowdowns(session: Session, now: datetime.datetime) -> Sequence[Slowed]:
    """Return what is slowed down now, why, and until when; stopped ones first."""
    names = {relay_key(relay_id): name for relay_id, name in session.execute(select(Relay.id, Relay.name))}
    names[relay_key(0)] = "of the settings"
    shown = []
    for key, one in standing(session).items():
        stopped_until = one.stopped_until if one.is_stopped(now) else None
        name = f"relay {names.get(key, key.removeprefix(_RELAY))}" if key.startswith(_RELAY) else key[len(_HOSTS) :]
        what = (
            f"Nothing goes there until {stopped_until:%H:%M} UTC; then it goes on slowly."
            if stopped_until
            else f"At {_percent(one.share)} of its speed; a little is added for each minute in which mail is accepted."
        )
        shown.append(Slowed(key, name, what, one.because, one.share, stopped_until, one.changed_at))
    return sorted(shown, key=lambda one: (one.stopped_until is None, one.name))


def clear_slowdown(session: Session, key: str, now: datetime.datetime) -> None:
    """Go on at full speed at once. Raises NotFoundError when it is not slowed down (any more)."""
    row = session.scalar(lock_rows(session, select(Slowdown).where(Slowdown.key == key)))
    if row is None:
        raise NotFoundError("That is not slowed down any more.")
    session.delete(row)
    session.flush()
    move_up(session, now)


def _since(one: Standing) -> datetime.datetime:
    """Return from when on mail has gone at this share."""
    return max(one.changed_at, one.stopped_until or one.changed_at)


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %" if share >= 0.1 else f"{share * 100:.1f} %"
