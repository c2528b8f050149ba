"""Subscribers: found, locked, and read for operators."""

import datetime
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.audience import addresses, consent
from newsletter.audience.models import EndedReason, Subscriber, Subscription, SubscriptionState
from newsletter.foundation.errors import NotFoundError
from newsletter.foundation.languages import N_

_LAST = "\U0010ffff"
"""Sorts behind any sign of an address."""


def get(session: Session, subscriber_id: int) -> Subscriber:
    """Return one. Raises NotFoundError."""
    subscriber = session.get(Subscriber, subscriber_id)
    if subscriber is None:
        raise NotFoundError(N_("We hold nothing about this reader any more."))
    return subscriber


def lock(session: Session, subscriber_id: int) -> Subscriber:
    """Return one as it is now, and let nobody else change them until the transaction ends. Raises NotFoundError.

    On PostgreSQL FOR NO KEY UPDATE, which lets rows that refer to the reader, such as deliveries, be inserted
    meanwhile: a run that holds cuts does that, and a reader's change waits for cuts.
    """
    statement = select(Subscriber).where(Subscriber.id == subscriber_id).execution_options(populate_existing=True)
    if session.get_bind().dialect.name == "postgresql":
        statement = statement.with_for_update(key_share=True)
    subscriber = session.scalar(statement)
    if subscriber is None:
        raise NotFoundError(N_("We hold nothing about this reader any more."))
    return subscriber


def by_address(session: Session, address: str) -> Subscriber | None:
    """Return the one with this address, however it is spelled in upper and lower case."""
    return session.scalar(select(Subscriber).where(Subscriber.folded == addresses.fold(address.strip())))


@dataclass(frozen=True)
class Row:
    """One line of the operators' list. `cursor` of the last one asks for the next page."""

    id: int
    address: str
    name: str
    language: str
    timezone: str
    created_at: datetime.datetime
    confirmed_at: datetime.datetime | None
    paused_at: datetime.datetime | None
    cursor: str


def listed(session: Session, *, prefix: str = "", after: str = "", limit: int = 50) -> list[Row]:
    """Return up to `limit` subscribers by address, those that begin with `prefix`, following the cursor `after`."""
    start = addresses.fold(prefix.strip())
    statement = select(Subscriber).order_by(Subscriber.folded).limit(limit)
    if start:
        statement = statement.where(Subscriber.folded >= start, Subscriber.folded < start + _LAST)
    if after:
        statement = statement.where(Subscriber.folded > after)
    return [
        Row(
            one.id, one.address, one.name, one.language, one.timezone,
            one.created_at, one.confirmed_at, one.paused_at, one.folded,
        )
        for one in session.scalars(statement)
    ]  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """One subscription, of now or of the past."""

    id: int
    category_id: int
    cadence_id: int
    state: SubscriptionState
    created_at: datetime.datetime
    activated_at: datetime.datetime | None
    ended_at: datetime.datetime | None
    ended_reason: EndedReason | None


@dataclass(frozen=True)
class Record:
    """What this room holds about one reader."""

    subscriber: Row
    paused_until: datetime.datetime | None
    generated: bool
    subscriptions: list[Choice]
    consents: list[consent.Proof]


def shown(session: Session, subscriber_id: int) -> Record:
    """Return what this room holds about one reader. Raises NotFoundError."""
    one = get(session, subscriber_id)
    choices = session.scalars(
        select(Subscription).where(Subscription.subscriber_id == subscriber_id).order_by(Subscription.id)
    )
    return Record(
        Row(
            one.id, one.address, one.name, one.language, one.timezone,
            one.created_at, one.confirmed_at, one.paused_at, one.folded,
        ),
        one.paused_until,
        one.generated,
        [
            Choice(
                row.id, row.category_id, row.cadence_id, row.state,
                row.created_at, row.activated_at, row.ended_at, row.ended_reason,
            )
            for row in choices
        ],
        consent.proof(session, subscriber_id),
    )  # fmt: skip
