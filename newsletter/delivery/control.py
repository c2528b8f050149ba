"""What operators do to a mailing under way, and to deliveries whose fate is unknown."""

import datetime
import enum
from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from newsletter.delivery import recovery
from newsletter.delivery.ledger import count
from newsletter.delivery.models import (
    Chunk,
    ChunkState,
    Delivery,
    DeliveryState,
    Mailing,
    MailingKind,
    MailingState,
    Reason,
)
from newsletter.digests import finishing as runs
from newsletter.digests.models import Run, RunState
from newsletter.foundation.errors import ConflictError, NotFoundError


class Settlement(enum.StrEnum):
    """What an operator decides about deliveries whose reply was never read."""

    RESEND = "resend"
    """Offer them again, with the same Message-ID."""
    LEAVE = "leave"
    """Leave them as they are: unknown for good, and nobody is asked about them again."""


def pause(session: Session, mailing_id: int) -> Mailing:
    """Stop handing over until resumed. Raises ConflictError unless it is being sent."""
    return _move(session, mailing_id, MailingState.SENDING, MailingState.PAUSED)


def resume(session: Session, mailing_id: int) -> Mailing:
    """Go on with a paused mailing. Raises ConflictError unless it is paused."""
    return _move(session, mailing_id, MailingState.PAUSED, MailingState.SENDING)


def cancel(session: Session, mailing_id: int, now: datetime.datetime) -> Mailing:
    """Send nothing more of a mailing for good. What is on the wire just now may still arrive.

    Deliveries that were not offered are skipped as cancelled, those in a worker's hands by that worker.
    Raises ConflictError if it is finished or cancelled already.
    """
    mailing = _find(session, mailing_id)
    if mailing.state not in (MailingState.SENDING, MailingState.PAUSED):
        raise ConflictError(f"This mailing is {mailing.state.value} already.")
    mailing.state, mailing.finished_at = MailingState.CANCELLED, now
    session.flush()
    for old in (DeliveryState.PLANNED, DeliveryState.DEFERRED):
        stopped = session.execute(
            update(Delivery)
            .where(Delivery.mailing_id == mailing_id, Delivery.state == old)
            .values(state=DeliveryState.SKIPPED, reason=Reason.CANCELLED, settled_at=now, retry_at=None)
            .execution_options(synchronize_session=False)
        )
        count(session, {(mailing_id, old, DeliveryState.SKIPPED): stopped.rowcount})  # type: ignore[attr-defined]
    session.execute(
        update(Chunk)
        .where(Chunk.mailing_id == mailing_id, Chunk.state == ChunkState.READY)
        .values(state=ChunkState.DONE)
        .execution_options(synchronize_session=False)
    )
    if mailing.run_id is not None:
        runs.move(session.get_one(Run, mailing.run_id, populate_existing=True), RunState.CANCELLED, now)
    return session.get_one(Mailing, mailing_id, populate_existing=True)


def settle_unknown(
    session: Session, delivery_ids: Sequence[int] | None, settlement: Settlement, now: datetime.datetime
) -> int:
    """Resend or leave unknown deliveries: those named, or all. Returns how many.

    A mailing that was cancelled takes no resending. Raises NotFoundError when none of those named is unknown.
    """
    query = (
        select(Delivery.id, Delivery.mailing_id, Mailing.kind, Mailing.state)
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .where(Delivery.unknown_at.is_not(None))
        .order_by(Delivery.mailing_id, Delivery.id)
    )
    if delivery_ids is not None:
        query = query.where(Delivery.id.in_(delivery_ids))
    if settlement is Settlement.RESEND:
        query = query.where(Mailing.state != MailingState.CANCELLED)
    rows = session.execute(query).all()
    if not rows and delivery_ids is not None:
        raise NotFoundError("None of these deliveries is unknown any more.")
    for mailing_id, kind in dict.fromkeys((row.mailing_id, row.kind) for row in rows):
        ids = [row.id for row in rows if row.mailing_id == mailing_id]
        if settlement is Settlement.RESEND:
            bulk = kind is MailingKind.RUN
            recovery.plan_again(session, mailing_id, ids, DeliveryState.UNKNOWN, now, bulk=bulk)
            _reopen_run(session, mailing_id, now)
        else:
            session.execute(
                update(Delivery)
                .where(Delivery.id.in_(ids), Delivery.state == DeliveryState.UNKNOWN)
                .values(settled_at=now, unknown_at=None)
                .execution_options(synchronize_session=False)
            )
    return len(rows)


def _reopen_run(session: Session, mailing_id: int, now: datetime.datetime) -> None:
    run_id = session.get_one(Mailing, mailing_id).run_id
    run = session.get_one(Run, run_id, populate_existing=True) if run_id is not None else None
    if run is not None and run.state is RunState.SENT:
        runs.move(run, RunState.SENDING, now)


def _move(session: Session, mailing_id: int, old: MailingState, new: MailingState) -> Mailing:
    mailing = _find(session, mailing_id)
    if mailing.state is not old:
        raise ConflictError(f"This mailing is {mailing.state.value}.")
    mailing.state = new
    session.flush()
    return mailing


def _find(session: Session, mailing_id: int) -> Mailing:
    mailing = session.get(Mailing, mailing_id, populate_existing=True, with_for_update=True)
    if mailing is None:
        raise NotFoundError("There is no such mailing.")
    return mailing
