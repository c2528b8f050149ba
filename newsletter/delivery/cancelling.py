"""What is left of a cancelled mailing is skipped, chunk by chunk: cancelling itself is one row and acts at once."""

import datetime
from typing import Final

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from newsletter.delivery.models import Chunk, ChunkState, Delivery, DeliveryState, Mailing, MailingState, Reason
from newsletter.delivery.settling import count

CHUNKS_AT_ONCE: Final = 50
"""Chunks skipped in one transaction."""


def skip_chunk(session: Session, mailing_id: int, chunk_id: int, now: datetime.datetime) -> None:
    """Skip what is left to send in a chunk of a cancelled mailing; whoever calls it holds the chunk."""
    for old in (DeliveryState.PLANNED, DeliveryState.DEFERRED):
        skipped = session.execute(
            update(Delivery)
            .where(Delivery.chunk_id == chunk_id, Delivery.state == old)
            .values(state=DeliveryState.SKIPPED, reason=Reason.CANCELLED, settled_at=now, retry_at=None)
            .execution_options(synchronize_session=False)
        )
        count(session, {(mailing_id, old, DeliveryState.SKIPPED): skipped.rowcount})  # type: ignore[attr-defined]


def skip_left(session: Session, mailing_id: int, now: datetime.datetime) -> int:
    """Skip what is left in some chunks that no worker has in hand, and in its own those of theirs. Returns how many.

    Chunks that are done may still hold deferred deliveries; they are looked at by way of these.
    """
    deferred = select(Delivery.chunk_id).where(
        Delivery.mailing_id == mailing_id, Delivery.retry_at.is_not(None), Delivery.state == DeliveryState.DEFERRED
    )
    query = (
        select(Chunk)
        .where(
            Chunk.mailing_id == mailing_id,
            or_(Chunk.state == ChunkState.READY, (Chunk.state == ChunkState.DONE) & Chunk.id.in_(deferred)),
        )
        .order_by(Chunk.id)
        .limit(CHUNKS_AT_ONCE)
    )
    if session.get_bind().dialect.name == "postgresql":
        query = query.with_for_update(skip_locked=True)
    chunks = session.scalars(query).all()
    for chunk in chunks:
        skip_chunk(session, mailing_id, chunk.id, now)
        chunk.state = ChunkState.DONE
    session.flush()
    return len(chunks)


def sweep(session: Session, now: datetime.datetime) -> bool:
    """Skip some of what is left of cancelled mailings. Returns whether there may be more."""
    cancelled = session.scalars(
        select(Mailing.id)
        .where(Mailing.state == MailingState.CANCELLED, or_(Mailing.planned > 0, Mailing.deferred > 0))
        .order_by(Mailing.id)
        .limit(1)
    ).first()
    return cancelled is not None and skip_left(session, cancelled, now) == CHUNKS_AT_ONCE
