"""What operators do to a mailing under way, and to deliveries whose fate is unknown."""

import datetime
import enum
from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import Select, and_, exists, func, or_, select, update
from sqlalchemy.orm import Session

from newsletter.audience.models import Subscriber, Subscription, SubscriptionState
from newsletter.delivery import cancelling, planning, recovery
from newsletter.delivery.composing import suppressed
from newsletter.delivery.models import (
    Delivery,
    DeliveryState,
    Mailing,
    MailingKind,
    MailingState,
)
from newsletter.delivery.replies import Failure
from newsletter.digests import finishing as runs
from newsletter.digests.models import Run, RunState
from newsletter.foundation.errors import ConflictError, InvalidError, NotFoundError
from newsletter.operators import alarms

FASTEST: Final = 100_000_000
"""Mails in an hour; a speed above is a mistyped one."""


class Settlement(enum.StrEnum):
    """What an operator decides about deliveries whose reply was never read."""

    RESEND = "resend"
    """Offer them again, with the same Message-ID."""
    LEAVE = "leave"
    """Leave them as they are: unknown for good, and nobody is asked about them again."""


def pause(session: Session, mailing_id: int, *, because: str = "") -> Mailing:
    """Stop handing over until resumed; `because` says why where no operator did it.

    Raises ConflictError unless it is being sent.
    """
    mailing = _move(session, mailing_id, MailingState.SENDING, MailingState.PAUSED)
    mailing.paused_because = because
    return mailing


def pause_by_itself(session: Session, mailing_id: int, because: str, now: datetime.datetime) -> bool:
    """Pause a mailing that nobody should send on with, and tell the operators. Returns whether it is paused by this.

    Several workers may come to it at the same time: the first pauses. Confirmations go on, since each of them was asked
    for a moment ago and nobody could resume them; for them there is only the alarm.
    """
    mailing = _find(session, mailing_id)
    if mailing.kind is MailingKind.CONFIRMATIONS:
        alarms.sound(session, f"confirmations:{now:%Y-%m-%dT%HZ}", f"Confirmations are refused. {because}", now)
        return False
    if mailing.state is not MailingState.SENDING:
        return False
    pause(session, mailing_id, because=because)
    run = session.get_one(Run, mailing.run_id)
    name = f"The digest “{run.cadence.name}” (run {run.id})"
    alarms.sound(session, f"{_alarms(mailing_id)}{now:%Y-%m-%dT%H:%M:%SZ}", f"{name} has paused. {because}", now)
    return True


def resume(session: Session, mailing_id: int, now: datetime.datetime) -> Mailing:
    """Go on with a paused mailing. Raises ConflictError unless it is paused."""
    mailing = _move(session, mailing_id, MailingState.PAUSED, MailingState.SENDING)
    mailing.paused_because = ""
    alarms.end_all(session, _alarms(mailing_id), now)
    return mailing


def set_speed(session: Session, mailing_id: int, per_hour: int | None) -> Mailing:
    """Let at most so many mails of it leave in an hour; None: as many as the relays take.

    Raises InvalidError, and ConflictError when nothing of it is left to send.
    """
    if per_hour is not None and not 1 <= per_hour <= FASTEST:
        raise InvalidError(f"A speed is a whole number of mails in an hour, from 1 to {FASTEST:,}.")
    mailing = _find(session, mailing_id)
    if mailing.state not in (MailingState.SENDING, MailingState.PAUSED):
        raise ConflictError(f"This mailing is {mailing.state.value} already.")
    mailing.per_hour, mailing.not_before = per_hour, None  # what waits for the old speed's next turn waits no more
    return mailing


def cancel(session: Session, mailing_id: int, now: datetime.datetime) -> Mailing:
    """Send nothing more of a mailing for good. What is on the wire just now may still arrive.

    Deliveries that were not offered are skipped as cancelled: some here, the rest by the sweep, those in a worker's
    hands by that worker.
    Raises ConflictError if it is finished or cancelled already.
    """
    mailing = _find(session, mailing_id)
    if mailing.state not in (MailingState.SENDING, MailingState.PAUSED):
        raise ConflictError(f"This mailing is {mailing.state.value} already.")
    mailing.state, mailing.finished_at = MailingState.CANCELLED, now
    session.flush()
    cancelling.skip_left(session, mailing_id, now)
    alarms.end_all(session, _alarms(mailing_id), now)
    if mailing.run_id is not None:
        runs.move(session.get_one(Run, mailing.run_id, populate_existing=True), RunState.CANCELLED, now)
    return session.get_one(Mailing, mailing_id, populate_existing=True)


def settle_unknown(
    session: Session,
    delivery_ids: Sequence[int] | None,
    settlement: Settlement,
    now: datetime.datetime,
    *,
    mailing_id: int | None = None,
) -> int:
    """Resend or leave unknown deliveries: those named, or all (of one mailing). Returns how many.

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
    if mailing_id is not None:
        query = query.where(Delivery.mailing_id == mailing_id)
    if settlement is Settlement.RESEND:
        query = query.where(Mailing.state != MailingState.CANCELLED)
    rows = session.execute(query).all()
    if not rows and delivery_ids is not None:
        raise NotFoundError("None of these deliveries is unknown any more.")
    for owner_id, kind in dict.fromkeys((row.mailing_id, row.kind) for row in rows):
        ids = [row.id for row in rows if row.mailing_id == owner_id]
        if settlement is Settlement.RESEND:
            bulk = kind is MailingKind.RUN
            recovery.plan_again(session, owner_id, ids, DeliveryState.UNKNOWN, now, bulk=bulk)
        else:
            session.execute(
                update(Delivery)
                .where(Delivery.id.in_(ids), Delivery.state == DeliveryState.UNKNOWN)
                .values(settled_at=now, unknown_at=None)
                .execution_options(synchronize_session=False)
            )
    return len(rows)


def failed_by_class(session: Session, mailing_id: int) -> dict[Failure | None, int]:
    """Count a mailing's failed deliveries by what they failed for; None: no message could be made."""
    query = (
        select(Delivery.failure, func.count())
        .where(Delivery.mailing_id == mailing_id, Delivery.state == DeliveryState.FAILED)
        .group_by(Delivery.failure)
    )
    return dict(session.execute(query).all())


def resend_failed(
    session: Session, mailing_id: int, failures: Collection[Failure | None], now: datetime.datetime
) -> int:
    """Plan a run's deliveries again that failed for one of `failures`, with the same Message-ID. Returns how many.

    Not those whose reader left, paused, was erased or suppressed since, and never one that was accepted or is unknown.
    Run and mailing are open again, and temporary errors are retried as long as at first. Raises ConflictError when it
    was cancelled or is no run's.
    """
    mailing = _find(session, mailing_id)
    if mailing.run_id is None:
        raise ConflictError("Only digests are resent; a reader who misses a confirmation asks for another.")
    if mailing.state is MailingState.CANCELLED:
        raise ConflictError("This mailing is cancelled already.")
    ids = list(session.scalars(_who_failed(mailing, failures, session.get_one(Run, mailing.run_id).cadence_id)))
    for place in range(0, len(ids), planning.CHUNK):  # as many as a chunk holds, and as a statement may name
        batch = ids[place : place + planning.CHUNK]
        recovery.plan_again(session, mailing_id, batch, DeliveryState.FAILED, now, bulk=True)
        session.execute(
            update(Delivery)
            .where(Delivery.id.in_(batch))
            .values(reason=None, failure=None, reply_code=None, reply_text=None)
            .execution_options(synchronize_session=False)
        )
    if ids:
        mailing = session.get_one(Mailing, mailing_id, populate_existing=True)
        mailing.give_up_at = max(mailing.give_up_at, now + planning.GIVE_UP[mailing.kind])
        session.flush()
    return len(ids)


def _who_failed(mailing: Mailing, failures: Collection[Failure | None], cadence_id: int) -> Select[int]:
    wanted = Delivery.failure.in_([one for one in failures if one is not None])
    reads = exists().where(
        Subscription.subscriber_id == Subscriber.id,
        Subscription.cadence_id == cadence_id,
        Subscription.state == SubscriptionState.ACTIVE,
    )
    here = and_(Subscriber.confirmed_at.is_not(None), Subscriber.paused_at.is_(None), ~suppressed(), reads)
    return (
        select(Delivery.id)
        .outerjoin(Subscriber, Subscriber.id == Delivery.subscriber_id)
        .where(
            Delivery.mailing_id == mailing.id,
            Delivery.state == DeliveryState.FAILED,
            or_(wanted, Delivery.failure.is_(None)) if None in failures else wanted,
            or_(Delivery.copy_address.is_not(None), here),
        )
        .order_by(Delivery.id)
    )


def _alarms(mailing_id: int) -> str:
    """Return how the keys of a mailing's alarms begin."""
    return f"paused:{mailing_id}:"


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
