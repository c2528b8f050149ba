"""What a reader changes on the preferences page: choices, zone, language, name, pause, affiliates."""

import datetime
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import column, select, table, update
from sqlalchemy.orm import Session

from newsletter.audience import addresses, consent, leaving
from newsletter.audience.marks import Reading, hold_cuts, open_reading
from newsletter.audience.models import (
    Cadence,
    Change,
    ChangeKind,
    ConsentAct,
    Cut,
    EndedReason,
    Subscriber,
    Subscription,
    SubscriptionState,
)
from newsletter.audience.subscribers import get, lock
from newsletter.foundation.errors import ConflictError, InvalidError
from newsletter.foundation.languages import LANGUAGES, N_

_CATEGORIES = table("categories", column("id"), column("archived_at"))
"""Another room's; looked at only to see what can be chosen."""
_NOT_OFFERED: Final = N_("Please choose from what is offered.")
LONGEST_PAUSE: Final = datetime.timedelta(days=366)


@dataclass(frozen=True)
class Preferences:
    """What the page shows. The address is masked: a mail with the link may have been forwarded."""

    subscriber_id: int
    masked: str
    name: str
    language: str
    timezone: str
    paused: bool
    paused_until: datetime.datetime | None
    choices: Mapping[int, int]
    """Category to cadence."""
    consents: Mapping[str, datetime.datetime]
    """Purpose to when it was confirmed, of the consents that stand."""


@dataclass(frozen=True)
class Wish:
    """What the reader wants from now on; None leaves a field as it is."""

    choices: Mapping[int, int] | None = None
    """Category to cadence, all of them; those not named end."""
    timezone: str | None = None
    language: str | None = None
    name: str | None = None


def look(session: Session, subscriber_id: int) -> Preferences:
    """Return what the page shows. Raises NotFoundError."""
    subscriber = get(session, subscriber_id)
    choices = session.execute(
        select(Subscription.category_id, Subscription.cadence_id).where(
            Subscription.subscriber_id == subscriber_id, Subscription.state == SubscriptionState.ACTIVE
        )
    )
    standing = consent.standing(session, [subscriber_id])[subscriber_id]
    return Preferences(
        subscriber_id=subscriber.id,
        masked=addresses.mask(subscriber.address),
        name=subscriber.name,
        language=subscriber.language,
        timezone=subscriber.timezone,
        paused=subscriber.paused_at is not None,
        paused_until=subscriber.paused_until,
        choices={row.category_id: row.cadence_id for row in choices},
        consents={purpose: line.at for purpose, line in standing.items()},
    )


def change(
    session: Session, subscriber_id: int, wish: Wish, now: datetime.datetime, source: consent.Client
) -> int | None:
    """Do what the reader wishes; return the id of the change of choices for `undoing.undo`, None if there is none.

    Choosing nothing is leaving everything. Raises NotFoundError, InvalidError for what cannot be chosen, and
    ConflictError when the reader has left and must sign up again.
    """
    _check(wish)
    if wish.choices is not None and not wish.choices:
        left = leaving.leave_all(session, subscriber_id, now, source, purposes=(consent.NEWSLETTER,)).change_id
    else:
        left = None
    cadence_ids = set(wish.choices.values()) if wish.choices else set()
    if set(session.scalars(select(Cadence.id).where(Cadence.id.in_(cadence_ids)))) != cadence_ids:
        raise InvalidError(_NOT_OFFERED)
    reading = open_reading(session, subscriber_id, now, cadence_ids=cadence_ids, timezone=wish.timezone)
    subscriber = reading.subscriber
    if wish.timezone is not None and wish.timezone != subscriber.timezone:
        reading.settle()
        subscriber.timezone = wish.timezone
    if wish.language is not None:
        subscriber.language = wish.language
    if wish.name is not None:
        subscriber.name = " ".join(wish.name.split())[:120]
    chosen = _choose(session, reading, wish.choices, now) if wish.choices else None
    reading.store(session)
    return left or chosen


def pause(
    session: Session, subscriber_id: int, now: datetime.datetime, until: datetime.datetime | None = None
) -> int | None:
    """Send nothing before `until`, or until the reader resumes; what is new meanwhile comes with the next digest.

    Returns the id of the change; None when it only moved the end of a pause. Raises NotFoundError and InvalidError.
    """
    if until is not None and not now < until <= now + LONGEST_PAUSE:
        raise InvalidError(N_("A pause ends within a year."))
    reading = open_reading(session, subscriber_id, now)
    change_row = None
    if reading.subscriber.paused_at is None:
        reading.settle()
        reading.subscriber.paused_at = now
        change_row = leaving.new_change(session, subscriber_id, ChangeKind.PAUSED, now)
    reading.subscriber.paused_until = until
    reading.store(session)
    return change_row.id if change_row else None


def resume(session: Session, subscriber_id: int, now: datetime.datetime) -> None:
    """End the pause. Marks were set when it began, so the next digest covers all of it. Raises NotFoundError."""
    reading = open_reading(session, subscriber_id, now)
    reading.subscriber.paused_at = reading.subscriber.paused_until = None
    reading.store(session)


def resume_due(session: Session, now: datetime.datetime, limit: int = 1000) -> int:
    """End the pauses whose time is over, up to `limit`, and return how many those were."""
    statement = select(Subscriber.id, Subscriber.timezone).where(Subscriber.paused_until <= now).order_by(Subscriber.id)
    if session.get_bind().dialect.name == "postgresql":
        statement = statement.with_for_update(key_share=True, skip_locked=True)
    due = session.execute(statement.limit(limit)).all()
    if not due:
        return 0
    zones = {reader.timezone for reader in due}
    spots = session.execute(select(Cut.cadence_id, Cut.timezone).where(Cut.timezone.in_(zones)))
    hold_cuts(session, {(spot.cadence_id, spot.timezone) for spot in spots}, now)
    session.execute(
        update(Subscriber)
        .where(Subscriber.id.in_([reader.id for reader in due]))
        .values(paused_at=None, paused_until=None)
        .execution_options(synchronize_session=False)
    )
    return len(due)


def agree(
    session: Session, subscriber_id: int, words: consent.Words, now: datetime.datetime, source: consent.Client
) -> None:
    """Record consent to an affiliate's `words`. The link that led here was mailed: the address is proven.

    Raises NotFoundError, and ConflictError for anything but an affiliate or from an address that was never confirmed.
    """
    subscriber = lock(session, subscriber_id)
    if words.affiliate is None or subscriber.confirmed_at is None:
        raise ConflictError(N_("Please sign up for that."))
    if words.purpose not in consent.standing(session, [subscriber_id])[subscriber_id]:
        acts = (ConsentAct.GIVEN, ConsentAct.CONFIRMED)
        consent.record(session, [consent.entry(subscriber_id, words, act, source, now) for act in acts])


def withdraw(
    session: Session, subscriber_id: int, affiliate_slug: str, now: datetime.datetime, source: consent.Client
) -> bool:
    """Record that consent to an affiliate is taken back; tell whether it stood. Raises NotFoundError."""
    lock(session, subscriber_id)
    return bool(consent.withdraw(session, subscriber_id, [consent.purpose_of(affiliate_slug)], source, now))


def _check(wish: Wish) -> None:
    if wish.timezone is not None and wish.timezone not in zoneinfo.available_timezones():
        raise InvalidError(N_("Please choose a time zone from the list."))
    if wish.language is not None and wish.language not in LANGUAGES:
        raise InvalidError(N_("Please choose a language from the list."))


def _choose(session: Session, reading: Reading, choices: Mapping[int, int], now: datetime.datetime) -> int | None:
    held = reading.choices
    if dict(choices) == held:
        return None
    subscriber_id = reading.subscriber.id
    if consent.NEWSLETTER not in consent.standing(session, [subscriber_id])[subscriber_id]:
        raise ConflictError(N_("You have left our newsletter. To come back, please sign up again."))
    new = {
        category_id: cadence_id for category_id, cadence_id in choices.items() if held.get(category_id) != cadence_id
    }
    _refuse_unknown(session, {id_ for id_ in new if id_ not in held}, set(new.values()))
    change_row: Change = leaving.new_change(session, subscriber_id, ChangeKind.CHOSE, now)
    for row in reading.active:
        if row.category_id not in choices:
            reading.end(row, EndedReason.CHANGED, change_row.id)
    for category_id, cadence_id in new.items():
        reading.choose(category_id, cadence_id, change_row.id)
    return change_row.id


def _refuse_unknown(session: Session, category_ids: set[int], cadence_ids: set[int]) -> None:
    categories = session.scalars(
        select(_CATEGORIES.c.id).where(_CATEGORIES.c.id.in_(category_ids), _CATEGORIES.c.archived_at.is_(None))
    )
    cadences = session.scalars(select(Cadence.id).where(Cadence.id.in_(cadence_ids), Cadence.archived_at.is_(None)))
    if set(categories) != category_ids or set(cadences) != cadence_ids:
        raise InvalidError(_NOT_OFFERED)
