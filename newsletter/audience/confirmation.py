"""Confirmation: the reader proves that the address is theirs, by a button behind a mailed link (standards D1, D2)."""

import datetime
import enum
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from newsletter.audience import addresses, caps, consent, suppression
from newsletter.audience.marks import Reading, open_reading
from newsletter.audience.models import (
    Confirmation,
    ConfirmationKind,
    ConsentAct,
    SignupOutcome,
    Subscriber,
    Subscription,
    SubscriptionState,
    SuppressionReason,
)
from newsletter.audience.subscribers import get, lock
from newsletter.foundation.errors import NotFoundError
from newsletter.foundation.languages import N_
from newsletter.foundation.secrets import Hasher
from newsletter.foundation.tokens import Purpose

LIFETIME: Final = datetime.timedelta(seconds=Purpose.CONFIRM.lifetime)


class ConfirmationState(enum.StrEnum):
    """What the page behind the link has to say."""

    READY = "ready"
    CONFIRMED = "confirmed"
    """Also for a sign-up that changed nothing; a second press finds this."""
    EXPIRED = "expired"
    REFUSED = "refused"
    """Somebody said "this wasn't me", or the address is never mailed."""


@dataclass(frozen=True)
class ConfirmationView:
    """What the page shows."""

    id: int
    state: ConfirmationState
    subscriber_id: int
    masked: str
    category_ids: tuple[int, ...]
    cadence_id: int | None
    language: str
    timezone: str
    texts: tuple[consent.Words, ...]
    """The very words that are agreed to, the newsletter's first."""
    expires_at: datetime.datetime


def new_confirmation(
    session: Session,
    subscriber_id: int,
    kind: ConfirmationKind,
    *,
    wanted: dict[str, Any],
    source: consent.Client,
    now: datetime.datetime,
) -> Confirmation:
    """Store a request for proof; the delivery room sends the mail for it."""
    confirmation = Confirmation(
        subscriber_id=subscriber_id,
        kind=kind,
        created_at=now,
        expires_at=now + LIFETIME,
        wanted=wanted,
        form=source.form,
        page=source.page,
        ip=source.ip,
        user_agent=source.user_agent,
    )
    session.add(confirmation)
    session.flush()
    return confirmation


def look(session: Session, confirmation_id: int, now: datetime.datetime) -> ConfirmationView:
    """Return what the page shows, changing nothing. Raises NotFoundError once the sign-up was removed."""
    confirmation = _get(session, confirmation_id)
    return _view(session, confirmation, get(session, confirmation.subscriber_id), now)


def confirm(session: Session, confirmation_id: int, now: datetime.datetime, source: consent.Client) -> ConfirmationView:
    """Record the confirming act and make what was asked for active; a second time changes nothing.

    Whoever reads already keeps name, language and time zone, which their preferences page is for. A category that
    came at another cadence moves to the one that was asked for. Raises NotFoundError.
    """
    before = look(session, confirmation_id, now)
    if before.state is not ConfirmationState.READY or before.cadence_id is None:
        return before
    reading = open_reading(
        session, before.subscriber_id, now, cadence_ids=[before.cadence_id], timezone=before.timezone
    )
    # Again, now that nobody else can change it.
    confirmation = _get(session, confirmation_id)
    before = _view(session, confirmation, reading.subscriber, now)
    if before.state is not ConfirmationState.READY:
        return before
    confirmation.confirmed_at = now
    consent.record(
        session,
        [
            consent.entry(reading.subscriber.id, words, ConsentAct.CONFIRMED, source, now, confirmation.id)
            for words in before.texts
        ],
    )
    _activate(session, reading, confirmation, now)
    return _view(session, confirmation, reading.subscriber, now)


def refuse(session: Session, confirmation_id: int, now: datetime.datetime) -> ConfirmationView:
    """ "This wasn't me": drop what is pending and ask this address never again; idempotent. Raises NotFoundError.

    The address goes on the suppression list for good, since whoever typed it once can type it again; only an operator
    lifts that, on the owner's word. One that reads other mail of ours by its own wish keeps it, and is only never
    asked again.
    """
    confirmation = _get(session, confirmation_id)
    subscriber = lock(session, confirmation.subscriber_id)
    confirmation = _get(session, confirmation_id)
    if confirmation.confirmed_at is not None:
        return _view(session, confirmation, subscriber, now)
    session.execute(
        update(Confirmation)
        .where(
            Confirmation.subscriber_id == subscriber.id,
            Confirmation.confirmed_at.is_(None),
            Confirmation.refused_at.is_(None),
        )
        .values(refused_at=now)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        delete(Subscription)
        .where(Subscription.subscriber_id == subscriber.id, Subscription.state == SubscriptionState.PENDING)
        .execution_options(synchronize_session=False)
    )
    reads = session.scalar(
        select(Subscription.id)
        .where(Subscription.subscriber_id == subscriber.id, Subscription.state == SubscriptionState.ACTIVE)
        .limit(1)
    )
    if reads is None:
        suppression.suppress_hash(session, subscriber.address_hash, SuppressionReason.NOT_ME, now)
    else:
        subscriber.refused_at = subscriber.refused_at or now
    session.flush()
    return _view(session, _get(session, confirmation_id), subscriber, now)


def ask_again(session: Session, hasher: Hasher, confirmation_id: int, now: datetime.datetime) -> SignupOutcome:
    """Have a new mail sent for a sign-up whose link expired, within the caps of its address.

    ALREADY says that nothing is left to confirm. Raises NotFoundError.
    """
    caps.alone(session)
    confirmation = _get(session, confirmation_id)
    subscriber = lock(session, confirmation.subscriber_id)
    confirmation = _get(session, confirmation_id)
    state = _state(session, confirmation, subscriber, now)
    if state is ConfirmationState.CONFIRMED:
        return SignupOutcome.ALREADY
    if state is ConfirmationState.REFUSED or subscriber.refused_at is not None:
        return SignupOutcome.SUPPRESSED
    key = caps.key(hasher, subscriber.address)
    sent = caps.sent_to(session, [key], now)[key]
    if not caps.allows(ConfirmationKind.CONFIRM, sent, confirmed=subscriber.confirmed_at is not None, now=now):
        return SignupOutcome.CAPPED
    caps.count(session, key, ConfirmationKind.CONFIRM, now)
    source = consent.Client(confirmation.form, confirmation.page, confirmation.ip, confirmation.user_agent)
    new_confirmation(
        session, subscriber.id, ConfirmationKind.CONFIRM, wanted=confirmation.wanted, source=source, now=now
    )
    return SignupOutcome.CONFIRMATION


def _activate(session: Session, reading: Reading, confirmation: Confirmation, now: datetime.datetime) -> None:
    wanted, subscriber = confirmation.wanted, reading.subscriber
    if not reading.active:
        subscriber.timezone, subscriber.language = wanted["timezone"], wanted["language"]
        subscriber.name = wanted["name"] or subscriber.name
        subscriber.paused_at = subscriber.paused_until = None
    subscriber.confirmed_at = subscriber.confirmed_at or now
    for category_id in wanted["category_ids"]:
        reading.choose(category_id, wanted["cadence_id"])
    reading.store(session)


def _get(session: Session, confirmation_id: int) -> Confirmation:
    confirmation = session.scalar(
        select(Confirmation).where(Confirmation.id == confirmation_id).execution_options(populate_existing=True)
    )
    if confirmation is None:
        raise NotFoundError(N_("This sign-up was not confirmed in time and was removed. Please sign up once more."))
    return confirmation


def _state(
    session: Session, confirmation: Confirmation, subscriber: Subscriber, now: datetime.datetime
) -> ConfirmationState:
    if confirmation.confirmed_at is not None or confirmation.kind is ConfirmationKind.ALREADY:
        return ConfirmationState.CONFIRMED
    hashes = (subscriber.address_hash, subscriber.domain_hash)
    if confirmation.refused_at is not None or suppression.suppressed_among(session, hashes):
        return ConfirmationState.REFUSED
    return ConfirmationState.EXPIRED if confirmation.expires_at <= now else ConfirmationState.READY


def _view(
    session: Session, confirmation: Confirmation, subscriber: Subscriber, now: datetime.datetime
) -> ConfirmationView:
    wanted = confirmation.wanted
    return ConfirmationView(
        id=confirmation.id,
        state=_state(session, confirmation, subscriber, now),
        subscriber_id=subscriber.id,
        masked=addresses.mask(subscriber.address),
        category_ids=tuple(wanted.get("category_ids", ())),
        cadence_id=wanted.get("cadence_id"),
        language=wanted["language"],
        timezone=wanted.get("timezone", subscriber.timezone),
        texts=tuple(consent.texts(session, wanted.get("consent_text_ids", ()))),
        expires_at=confirmation.expires_at,
    )
