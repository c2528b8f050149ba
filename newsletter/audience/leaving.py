"""Leaving: at once, without questions, as often as one likes, and with a way back (standards J4, L4 to L8)."""

import datetime
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.audience import addresses, consent
from newsletter.audience.marks import open_reading
from newsletter.audience.models import Change, ChangeKind, EndedReason
from newsletter.foundation.errors import NotFoundError


@dataclass(frozen=True)
class Left:
    """What the page says after leaving. For an erased reader there is nothing to say."""

    change_id: int | None
    """For `undoing.undo`; that of the first time, however often the button is pressed."""
    masked: str
    category_ids: tuple[int, ...]
    """What ended just now; empty when it had ended before."""
    remaining: dict[int, int]
    """Category to cadence, of what still comes."""


def leave_cadence(
    session: Session, subscriber_id: int, cadence_id: int, now: datetime.datetime, source: consent.Client
) -> Left:
    """End a reader's subscriptions at one cadence: the list that a mail's headers name (RFC 8058, standards L7).

    When nothing else is left, the consent to the newsletter is taken back with it.
    """
    return _leave(session, subscriber_id, cadence_id, now, source, (consent.NEWSLETTER,))


def leave_all(
    session: Session,
    subscriber_id: int,
    now: datetime.datetime,
    source: consent.Client,
    *,
    purposes: Collection[str] | None = None,
) -> Left:
    """End all of a reader's subscriptions and take back the consents to `purposes` (None: all that stand)."""
    return _leave(session, subscriber_id, None, now, source, purposes)


def new_change(
    session: Session,
    subscriber_id: int,
    kind: ChangeKind,
    now: datetime.datetime,
    cadence_id: int | None = None,
) -> Change:
    """Store that a reader changes something, so that it can be undone."""
    change = Change(subscriber_id=subscriber_id, kind=kind, cadence_id=cadence_id, created_at=now)
    session.add(change)
    session.flush()
    return change


def _leave(
    session: Session,
    subscriber_id: int,
    cadence_id: int | None,
    now: datetime.datetime,
    source: consent.Client,
    purposes: Collection[str] | None,
) -> Left:
    try:
        reading = open_reading(session, subscriber_id, now)
    except NotFoundError:
        return Left(None, "", (), {})
    kind = ChangeKind.LEFT_ALL if cadence_id is None else ChangeKind.LEFT
    ending = [row for row in reading.active if cadence_id in (None, row.cadence_id)]
    stays = len(ending) < len(reading.active)
    held = () if stays else consent.standing(session, [subscriber_id])[subscriber_id]
    withdrawing = [purpose for purpose in held if purposes is None or purpose in purposes]
    if not ending and not withdrawing:
        return Left(
            latest(session, subscriber_id, kind, cadence_id),
            addresses.mask(reading.subscriber.address),
            (),
            reading.choices,
        )
    change = new_change(session, subscriber_id, kind, now, cadence_id)
    for row in ending:
        reading.end(row, EndedReason.LEFT, change.id)
    reading.store(session)
    consent.withdraw(session, subscriber_id, withdrawing, source, now)
    ended = tuple(row.category_id for row in ending)
    return Left(change.id, addresses.mask(reading.subscriber.address), ended, reading.choices)


def latest(session: Session, subscriber_id: int, kind: ChangeKind, cadence_id: int | None) -> int | None:
    """Return the id of the last change of that kind (and list) that was not undone, for `undoing.undo`."""
    return session.scalar(
        select(Change.id)
        .where(
            Change.subscriber_id == subscriber_id,
            Change.kind == kind,
            Change.cadence_id.is_not_distinct_from(cadence_id),
            Change.undone_at.is_(None),
        )
        .order_by(Change.id.desc())
        .limit(1)
    )
