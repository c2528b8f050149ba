"""What dead workers left: their journals are read, their chunks given back, and nothing is guessed.

Whoever comes next on a host takes over the journals there whose owners are gone. A delivery that was marked as being
sent and whose dot, by the journal of the same boot, was never written is planned again; one whose reply stands there is
settled; only a dot without a reply is unknown. Without a journal (another host, a host that went down) everything that
was marked is unknown once the lease has run out.
"""

import datetime
from collections.abc import Collection
from pathlib import Path

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from newsletter.delivery import finishing, planning, retrying
from newsletter.delivery.journal import Remains, remains
from newsletter.delivery.models import Chunk, ChunkState, Delivery, DeliveryState, Mailing, MailingKind, MailingState
from newsletter.delivery.replies import Outcome, Verdict
from newsletter.delivery.settling import count, settle
from newsletter.foundation.db import transaction


def recover(folder: Path, now: datetime.datetime) -> int:
    """Take over what dead processes of this host left. Returns how many there were. Owns its transaction."""
    if not folder.is_dir():
        return 0
    with remains(folder) as found:
        if found:
            with transaction() as session:
                for left in found:
                    _take_over(session, left, now)
        return len(found)


def _take_over(session: Session, left: Remains, now: datetime.datetime) -> None:
    # Locked before anything is looked at: the last commit of the dead may still be on its way through the database.
    chunks = session.scalars(
        select(Chunk)
        .where(Chunk.owner == left.owner, Chunk.state == ChunkState.LEASED)
        .order_by(Chunk.id)
        .with_for_update()
    ).all()
    settle(session, left.outcomes, now, owner=left.owner)
    for chunk in chunks:
        _give_back(session, chunk, now, left.dotted if left.same_boot else None)


def reap(session: Session, now: datetime.datetime) -> int:
    """Give back chunks whose lease ran out; what was marked as being sent is unknown. Returns how many chunks."""
    query = (
        select(Chunk).where(Chunk.state == ChunkState.LEASED, Chunk.leased_until < now).order_by(Chunk.id).limit(100)
    )
    if session.get_bind().dialect.name == "postgresql":
        query = query.with_for_update(skip_locked=True)  # a stalled worker in the middle of a commit must not block us
    chunks = session.scalars(query).all()
    for chunk in chunks:
        _give_back(session, chunk, now, None)
    return len(chunks)


def _give_back(session: Session, chunk: Chunk, now: datetime.datetime, dotted: Collection[int] | None) -> None:
    """Release a chunk of a dead owner. `dotted` names the deliveries whose dot may be out; None: any may be."""
    open_ids = session.scalars(
        select(Delivery.id).where(Delivery.chunk_id == chunk.id, Delivery.state == DeliveryState.SENDING)
    ).all()
    lost = Outcome(Verdict.UNKNOWN, None, "the worker died before the relay's reply was read")
    unsent = Outcome(Verdict.UNSENT)
    told = {key: lost if dotted is None or key in dotted else unsent for key in open_ids}
    settle(session, told, now, owner=chunk.owner)
    chunk.state, chunk.owner, chunk.leased_until, chunk.not_before = ChunkState.READY, "", None, now
    chunk.fence += 1


def regroup_due(session: Session, now: datetime.datetime, size: int = 1000) -> int:
    """Put deferred deliveries that are due into new chunks, those that have waited longest first.

    Returns how many deliveries.
    """
    due = session.execute(
        select(Delivery.id, Delivery.mailing_id, Mailing.kind)
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .where(
            Delivery.retry_at <= now, Delivery.state == DeliveryState.DEFERRED, Mailing.state == MailingState.SENDING
        )
        .order_by(Delivery.retry_at, Delivery.id)
        .limit(size)
    ).all()
    for mailing_id, kind in sorted({(row.mailing_id, row.kind) for row in due}):
        ids = [row.id for row in due if row.mailing_id == mailing_id]
        plan_again(session, mailing_id, ids, DeliveryState.DEFERRED, now, bulk=kind is MailingKind.RUN)
    return len(due)


def next_due(session: Session) -> datetime.datetime | None:
    """Return when the next deferred delivery is due."""
    return session.scalar(
        select(Delivery.retry_at)
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .where(
            Delivery.retry_at.is_not(None),
            Delivery.state == DeliveryState.DEFERRED,
            Mailing.state == MailingState.SENDING,
        )
        .order_by(Delivery.retry_at)
        .limit(1)
    )


def resend_unknown_confirmations(session: Session, now: datetime.datetime) -> int:
    """Plan confirmation mails again whose reply never came, up to three times. Returns how many."""
    due = session.execute(
        select(Delivery.id, Delivery.mailing_id)
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .where(
            Delivery.unknown_at.is_not(None),
            Mailing.kind == MailingKind.CONFIRMATIONS,
            Delivery.attempts <= retrying.RESENDS,
            Mailing.give_up_at > now,
        )
        .limit(1000)
    ).all()
    for mailing_id in sorted({row.mailing_id for row in due}):
        ids = [row.id for row in due if row.mailing_id == mailing_id]
        plan_again(session, mailing_id, ids, DeliveryState.UNKNOWN, now, bulk=False)
    return len(due)


def plan_again(
    session: Session,
    mailing_id: int,
    ids: list[int],
    old: DeliveryState,
    now: datetime.datetime,
    *,
    bulk: bool,
) -> None:
    """Move deliveries from `old` back to planned, in a chunk of their own, and reopen their mailing."""
    chunk_id = planning.add_chunk(session, mailing_id, now, bulk=bulk)
    moved = session.execute(
        update(Delivery)
        .where(Delivery.id.in_(ids), Delivery.state == old)
        .values(state=DeliveryState.PLANNED, chunk_id=chunk_id, retry_at=None, settled_at=None, unknown_at=None)
        .execution_options(synchronize_session=False)
    )
    count(session, {(mailing_id, old, DeliveryState.PLANNED): moved.rowcount})  # type: ignore[attr-defined]
    finishing.reopen(session, mailing_id, now)
