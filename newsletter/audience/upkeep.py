"""What must not be kept: unconfirmed sign-ups, requests that were decided, counters past their window (J8)."""

import datetime
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Delete, delete, exists, or_, select
from sqlalchemy.orm import Session

from newsletter.audience import caps
from newsletter.audience.models import Confirmation, MailCap, SignupRequest, Subscriber, Subscription, SubscriptionState

UNCONFIRMED: Final = datetime.timedelta(days=7)
"""How long a sign-up waits for its confirmation."""
DECIDED: Final = datetime.timedelta(days=1)
"""How long a request is kept after a worker decided it, for whoever looks why no mail came."""


@dataclass(frozen=True)
class Removed:
    """How many rows went."""

    requests: int
    confirmations: int
    subscriptions: int
    subscribers: int
    counters: int


def remove_old(session: Session, now: datetime.datetime) -> Removed:
    """Delete what has been kept long enough."""
    old = now - UNCONFIRMED
    requests = _count(
        session,
        delete(SignupRequest).where(or_(SignupRequest.processed_at < now - DECIDED, SignupRequest.created_at < old)),
    )
    confirmations = _count(
        session, delete(Confirmation).where(Confirmation.confirmed_at.is_(None), Confirmation.created_at < old)
    )
    waiting = exists().where(
        Confirmation.subscriber_id == Subscription.subscriber_id, Confirmation.confirmed_at.is_(None)
    )
    subscriptions = _count(
        session,
        delete(Subscription).where(
            Subscription.state == SubscriptionState.PENDING, Subscription.created_at < old, ~waiting
        ),
    )
    subscribers = _remove_strangers(session, old)
    counters = _count(session, delete(MailCap).where(MailCap.sent_at < now - caps.WINDOW))
    return Removed(requests, confirmations, subscriptions, subscribers, counters)


def _remove_strangers(session: Session, old: datetime.datetime) -> int:
    """Delete who never confirmed and has no sign-up waiting."""
    statement = select(Subscriber.id).where(Subscriber.confirmed_at.is_(None), Subscriber.created_at < old)
    if session.get_bind().dialect.name == "postgresql":
        # Asked in a statement of its own under the lock below: a sign-up of theirs may be being decided just now.
        statement = statement.with_for_update(skip_locked=True)
    ids = list(session.scalars(statement.limit(1000)))
    waiting = exists().where(Confirmation.subscriber_id == Subscriber.id)
    return _count(
        session, delete(Subscriber).where(Subscriber.id.in_(ids), Subscriber.confirmed_at.is_(None), ~waiting)
    )


def _count(session: Session, statement: Delete) -> int:
    result: Any = session.execute(statement.execution_options(synchronize_session=False))
    return int(result.rowcount)
