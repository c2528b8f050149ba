"""The paces that readers can choose from."""

import datetime
import re
from dataclasses import asdict, dataclass, field
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from newsletter.audience import addresses
from newsletter.audience.models import Cadence, Subscription, SubscriptionState
from newsletter.foundation.db import insert_new
from newsletter.foundation.errors import ConflictError, InvalidError, NotFoundError
from newsletter.foundation.languages import N_

_UTM: Final = frozenset({"utm_source", "utm_medium", "utm_campaign"})


@dataclass(frozen=True)
class Pace:
    """What an operator can set of a cadence. Its slug is not among it: filters and links know the list by that."""

    name: str
    weekdays: str = "1234567"
    hour: int = 7
    minute: int = 0
    position: int = 0
    max_per_category: int = 10
    subject_text: str = ""
    utm: dict[str, str] = field(default_factory=dict)
    copies: list[str] = field(default_factory=list)
    max_lateness_minutes: int = 360
    alarm_minutes: int = 30


DEFAULTS: Final = {
    "daily": Pace(N_("Daily"), position=0),
    "weekly": Pace(N_("Weekly"), weekdays="1", position=1),
}


def ensure_defaults(session: Session) -> None:
    """Make the default cadences on a publication that has none; one that was changed or archived stays so."""
    if session.scalar(select(Cadence.id).limit(1)) is None:
        for slug, pace in DEFAULTS.items():
            session.execute(insert_new(session, Cadence).values(slug=slug, **asdict(pace)))


def listed(session: Session, *, archived: bool = False) -> list[Cadence]:
    """Return the cadences that are offered, in the site's order; with `archived` all of them."""
    statement = select(Cadence).order_by(Cadence.position, Cadence.id)
    return list(session.scalars(statement if archived else statement.where(Cadence.archived_at.is_(None))))


def get(session: Session, cadence_id: int) -> Cadence:
    """Return one, archived or not. Raises NotFoundError."""
    cadence = session.get(Cadence, cadence_id)
    if cadence is None:
        raise NotFoundError("There is no such cadence.")
    return cadence


def by_slug(session: Session, slug: str) -> Cadence:
    """Return one, archived or not. Raises NotFoundError."""
    cadence = session.scalar(select(Cadence).where(Cadence.slug == slug))
    if cadence is None:
        raise NotFoundError(f"There is no cadence {slug}.")
    return cadence


def add(session: Session, slug: str, pace: Pace) -> Cadence:
    """Offer one more pace. Raises InvalidError, or ConflictError when the slug is or was another's."""
    if not re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)*", slug) or len(slug) > 60:
        raise InvalidError("A short name consists of lower-case letters, digits and hyphens, at most 60.")
    if session.scalar(select(Cadence.id).where(Cadence.slug == slug)) is not None:
        raise ConflictError(f"There is a cadence {slug} already, or was: links in mails name it for ever.")
    cadence = Cadence(slug=slug, **asdict(_checked(pace)))
    session.add(cadence)
    session.flush()
    return cadence


def change(session: Session, cadence_id: int, pace: Pace) -> Cadence:
    """Set all of a cadence but its slug. Raises InvalidError or NotFoundError."""
    cadence = get(session, cadence_id)
    for name, value in asdict(_checked(pace)).items():
        setattr(cadence, name, value)
    session.flush()
    return cadence


def archive(session: Session, cadence_id: int, now: datetime.datetime) -> None:
    """Offer it no more. Raises ConflictError while readers get it: nobody is left without their mail unasked."""
    cadence = get(session, cadence_id)
    reading = select(Subscription.id).where(
        Subscription.cadence_id == cadence_id, Subscription.state == SubscriptionState.ACTIVE
    )
    if session.scalar(reading.limit(1)) is not None:
        raise ConflictError(f"Readers still get {cadence.name}. It can be archived once nobody does.")
    others = select(func.count()).where(Cadence.archived_at.is_(None), Cadence.id != cadence_id)
    if not session.scalar(others):
        raise ConflictError("Readers need one cadence to choose. Add another before this one goes.")
    cadence.archived_at = cadence.archived_at or now
    session.flush()


def _checked(pace: Pace) -> Pace:
    """Return `pace` tidied. Raises InvalidError naming every mistake."""
    name, subject = " ".join(pace.name.split()), " ".join(pace.subject_text.split())
    wrong = [
        message
        for message, right in (
            ("A cadence needs a name of at most 120 characters.", 0 < len(name) <= 120),
            ("The weekdays are digits from 1 (Monday) to 7, at least one.", re.fullmatch("[1-7]{1,20}", pace.weekdays)),
            ("The hour is between 0 and 23.", 0 <= pace.hour <= 23),
            ("The minute is between 0 and 59.", 0 <= pace.minute <= 59),
            ("A digest has between 1 and 50 articles per category.", 1 <= pace.max_per_category <= 50),
            ("The subject has at most 200 characters.", len(subject) <= 200),
            ("Only utm_source, utm_medium and utm_campaign can be added to links.", pace.utm.keys() <= _UTM),
            ("A UTM value has at most 100 characters.", all(len(value) <= 100 for value in pace.utm.values())),
            ("The greatest lateness is between 1 minute and a day.", 1 <= pace.max_lateness_minutes <= 1440),
            ("The alarm comes between 1 minute and a day after the hour.", 1 <= pace.alarm_minutes <= 1440),
        )
        if not right
    ]
    copies = []
    for typed in pace.copies:
        try:
            copies.append(addresses.check(typed))
        except InvalidError as error:
            wrong.append(f"{typed}: {error}")
    if wrong:
        raise InvalidError("\n".join(wrong))
    return Pace(
        **asdict(pace)
        | {
            "name": name,
            "subject_text": subject,
            "weekdays": "".join(sorted(set(pace.weekdays))),
            "utm": {key: value.strip() for key, value in pace.utm.items() if value.strip()},
            "copies": list(dict.fromkeys(copies)),
        }
    )
