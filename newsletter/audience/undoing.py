"""The way back: for seven days exactly what one change did can be taken back."""

import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.audience import consent, suppression
from newsletter.audience.marks import Reading, open_reading
from newsletter.audience.models import (
    Change,
    ChangeKind,
    Consent,
    ConsentAct,
    EndedReason,
    Subscription,
    SubscriptionState,
)
from newsletter.foundation.errors import ConflictError, NotFoundError
from newsletter.foundation.languages import N_
from newsletter.foundation.tokens import Purpose

WINDOW: Final = datetime.timedelta(seconds=Purpose.UNDO.lifetime)


def undo(session: Session, change_id: int, now: datetime.datetime, source: consent.Client) -> int:
    """Take back what a change did and return its reader's id; a second time changes nothing.

    Subscriptions that it ended go on from where they had read up to, unless their category was chosen anew since;
    those that it began end. Consents that went with leaving stand again. Raises NotFoundError, and ConflictError after
    seven days or when the address must not be mailed any more.
    """
    change = session.get(Change, change_id)
    if change is None:
        raise NotFoundError(N_("We hold nothing about this reader any more."))
    cadences = select(Subscription.cadence_id).where(
        Subscription.subscriber_id == change.subscriber_id, Subscription.ended_by == change_id
    )
    reading = open_reading(session, change.subscriber_id, now, cadence_ids=session.scalars(cadences).all())
    session.refresh(change)
    if change.undone_at is not None:
        return change.subscriber_id
    hashes = (reading.subscriber.address_hash, reading.subscriber.domain_hash)
    if suppression.suppressed_among(session, hashes):
        raise ConflictError(N_("We may not write to this address any more."))
    if change.created_at + WINDOW < now:
        raise ConflictError(N_("This can be undone for 7 days only. To come back, please sign up again."))
    withdrawn = _withdrawn_by(session, change)
    if change.kind is not ChangeKind.PAUSED and not _may_read(session, change, withdrawn):
        raise ConflictError(N_("You have left our newsletter. To come back, please sign up again."))
    change.undone_at = now
    if change.kind is ChangeKind.PAUSED:
        reading.subscriber.paused_at = reading.subscriber.paused_until = None
    _take_back(session, reading, change)
    consent.record(
        session,
        [
            consent.entry(
                change.subscriber_id, consent.Words(line.text_id, line.purpose, ""), ConsentAct.CONFIRMED, source, now
            )
            for line in withdrawn
        ],
    )
    return change.subscriber_id


def _take_back(session: Session, reading: Reading, change: Change) -> None:
    for row in reading.active:
        if row.begun_by == change.id:
            reading.end(row, EndedReason.CHANGED, None)
    reading.store(session)
    choices = reading.choices
    for row in [row for row in reading.rows if row.ended_by == change.id]:
        if row.state is SubscriptionState.ENDED and row.category_id not in choices:
            reading.restore(row, session)
    reading.store(session)


def _withdrawn_by(session: Session, change: Change) -> list[Consent]:
    """Return what leaving took back, where that is the last word on its purpose."""
    if change.kind not in (ChangeKind.LEFT, ChangeKind.LEFT_ALL):
        return []
    # Words that were only given since, by a sign-up that waits for its button, are not the last word.
    lines = session.scalars(
        select(Consent)
        .where(Consent.subscriber_id == change.subscriber_id, Consent.act != ConsentAct.GIVEN)
        .order_by(Consent.id)
    )
    last = {line.purpose: line for line in lines}
    return [line for line in last.values() if line.act is ConsentAct.WITHDRAWN and line.at == change.created_at]


def _may_read(session: Session, change: Change, withdrawn: list[Consent]) -> bool:
    """Tell whether consent to the newsletter stands, or will when `withdrawn` is taken back."""
    standing = consent.standing(session, [change.subscriber_id])[change.subscriber_id]
    return consent.NEWSLETTER in standing or any(line.purpose == consent.NEWSLETTER for line in withdrawn)
