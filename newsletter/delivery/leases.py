"""Leases: which worker has which chunk in hand. Each is a few statements in the ledger's transactions.

A chunk's fence rises whenever somebody takes it or it is taken from somebody.
"""

import datetime
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    Exists,
    ScalarSelect,
    SQLColumnExpression,
    and_,
    bindparam,
    case,
    exists,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session

from newsletter.delivery import finishing
from newsletter.delivery.cancelling import skip_chunk
from newsletter.delivery.composing import Composer
from newsletter.delivery.models import Chunk, ChunkState, Delivery, DeliveryState, Mailing, MailingState
from newsletter.delivery.replies import Outcome, Verdict
from newsletter.delivery.settling import settle
from newsletter.foundation.db import UTCDateTime


@dataclass(eq=False)
class Lease:
    """A chunk in this worker's hands."""

    chunk_id: int
    mailing_id: int
    fence: int
    composes: Composer
    bulk: bool
    per_hour: int | None
    """The speed that an operator gave the mailing."""
    position: int = 0
    """The delivery up to which the chunk has been begun."""
    exhausted: bool = False
    """Nothing is left to begin in it, or nothing of it may be."""
    open: int = 0
    """Deliveries begun whose outcome the ledger has not been told."""

    @property
    def sender(self) -> str:
        """From address of its messages."""
        return self.composes.sender

    @property
    def stream(self) -> str:
        """What they are, as relays are told apart by."""
        return self.composes.stream


def claim(session: Session, asked: Mapping[str, object], composer_of: Callable[[int], Composer]) -> Lease | None:
    """Lease the next chunk that is ready, oldest first; None when there is none.

    `asked`: `wants_bulk`, `now`, `by_owner`, and `until` when the lease is to end.
    """
    found = session.connection().execute(_CLAIM, asked).first()
    if found is None:
        return None
    chunk_id, mailing_id, fence, per_hour, begins = found
    if begins:
        session.connection().execute(_BEGINS, {"mailing": mailing_id, "now": asked["now"]})
    return Lease(chunk_id, mailing_id, fence, composer_of(mailing_id), bool(asked["wants_bulk"]), per_hour)


def let_go(session: Session, owner: str, held: Collection[Lease]) -> None:
    """Give back what the owner has leased but for what it knows that it holds: nothing of that was begun."""
    session.connection().execute(_LET_GO, {"by_owner": owner, "held": [lease.chunk_id for lease in held]})


def release(session: Session, lease: Lease, now: datetime.datetime) -> None:
    """Give the chunk back, done if nothing of it is left to send, and finish the mailing if this was the last."""
    of_chunk = {"chunk": lease.chunk_id, "at_fence": lease.fence, "now": now}
    released = session.connection().execute(_RELEASE, of_chunk).first()
    if released is None:  # another has it
        finishing.finish_if_settled(session, lease.mailing_id, now)
        return
    state, still_sending, settled = released
    if state is MailingState.CANCELLED:
        skip_chunk(session, lease.mailing_id, lease.chunk_id, now)
        session.connection().execute(_DONE, {"chunk": lease.chunk_id})
    if still_sending:
        # All that we were told is told: what is open even so, a database that forgot a commit has left.
        lost = session.scalars(
            select(Delivery.id).where(Delivery.chunk_id == lease.chunk_id, Delivery.state == DeliveryState.SENDING)
        )
        forgotten = Outcome(Verdict.UNKNOWN, None, "the database forgot what became of it")
        settle(session, dict.fromkeys(lost, forgotten), now, owner="")
    if settled or still_sending or state is MailingState.CANCELLED:
        finishing.finish_if_settled(session, lease.mailing_id, now)


_READY: Final = (
    select(Chunk.id)
    .join(Mailing, Mailing.id == Chunk.mailing_id)
    .where(
        Chunk.state == ChunkState.READY,
        Chunk.bulk == bindparam("wants_bulk"),
        Chunk.not_before <= bindparam("now", type_=UTCDateTime()),
        Mailing.state == MailingState.SENDING,
        or_(Mailing.not_before.is_(None), Mailing.not_before <= bindparam("now", type_=UTCDateTime())),
    )
    .order_by(Chunk.not_before, Chunk.id)
    .limit(1)
)


ANYTHING_READY: Final = _READY.exists()
"""Whether there is a chunk to claim: bulk or not (`wants_bulk`), at the moment `now`."""


def _of_mailing(value: SQLColumnExpression[Any]) -> ScalarSelect[Any]:
    """Return a value of the mailing of the Chunk that a statement is about."""
    return select(value).where(Mailing.id == Chunk.mailing_id).scalar_subquery()


def _holds(state: DeliveryState) -> Exists:
    """Return whether the chunk of the parameter `chunk` holds such deliveries."""
    return exists().where(Delivery.chunk_id == bindparam("chunk"), Delivery.state == state)


_CLAIM: Final = (
    update(Chunk)
    .where(Chunk.id == _READY.with_for_update(of=Chunk, skip_locked=True).correlate(None).scalar_subquery())
    .values(
        state=ChunkState.LEASED,
        owner=bindparam("by_owner"),
        fence=Chunk.fence + 1,
        leased_until=bindparam("until"),
    )
    .returning(
        Chunk.id,
        Chunk.mailing_id,
        Chunk.fence,
        _of_mailing(Mailing.per_hour),
        _of_mailing(or_(Mailing.started_at.is_(None), Mailing.not_before.is_not(None))),
    )
    .execution_options(synchronize_session=False)
)
_LET_GO: Final = (
    update(Chunk)
    .where(
        Chunk.owner == bindparam("by_owner"),
        Chunk.state == ChunkState.LEASED,
        Chunk.id.not_in(bindparam("held", expanding=True)),
    )
    .values(state=ChunkState.READY, owner="", fence=Chunk.fence + 1, leased_until=None)
    .execution_options(synchronize_session=False)
)
_BEGINS: Final = text(
    "UPDATE mailings SET started_at = coalesce(started_at, :now), not_before = NULL, paused_because = '' "
    "WHERE id = :mailing"
).bindparams(bindparam("now", type_=UTCDateTime()))
_RELEASE: Final = (
    update(Chunk)
    .where(Chunk.id == bindparam("chunk"), Chunk.fence == bindparam("at_fence"), Chunk.state == ChunkState.LEASED)
    .values(
        state=case((_holds(DeliveryState.PLANNED), ChunkState.READY), else_=ChunkState.DONE),
        owner="",
        leased_until=None,
        not_before=bindparam("now"),
    )
    .returning(
        _of_mailing(Mailing.state),
        _holds(DeliveryState.SENDING),
        _of_mailing(and_(Mailing.planned == 0, Mailing.sending == 0, Mailing.deferred == 0)),
    )
    .execution_options(synchronize_session=False)
)
_DONE: Final = text("UPDATE chunks SET state = 'done' WHERE id = :chunk")
