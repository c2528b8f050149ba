"""Late evidence: what shows, after the reply was lost, that an unknown delivery was taken or refused after all.

It closes deliveries that are unknown, also those that an operator has left at that, and no others: what a relay's own
reply has settled stands. A link or a return path of ours names the delivery and is signed: nobody can close another's.
"""

import datetime
import enum
from collections import Counter
from collections.abc import Collection
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from newsletter.delivery.models import Delivery, DeliveryState, Reason
from newsletter.delivery.replies import Failure, shorten
from newsletter.delivery.settling import count


class Evidence(enum.Enum):
    """Where it came from."""

    REPLY = "reply"
    """The relay's reply itself, found later: in its log, or in the journal of a host that came back."""
    BOUNCE = "bounce"
    """A bounce to the delivery's return path: whoever sends one has taken the mail over before."""
    EVENT = "event"
    """A provider's report that names the delivery."""
    ACT = "act"
    """A button pressed on a page that only a link in this very mail leads to."""


_WORDS: Final = {
    Evidence.REPLY: "the relay's reply was found later",
    Evidence.BOUNCE: "a bounce came back for it, so the relay had taken it",
    Evidence.EVENT: "the provider reported on it",
    Evidence.ACT: "the reader acted on a link in it, so it arrived",
}


def accepted(session: Session, delivery_ids: Collection[int], source: Evidence, now: datetime.datetime) -> int:
    """Close unknown deliveries as accepted, and say why in their reply. Returns how many were unknown."""
    values = {"state": DeliveryState.ACCEPTED, "reason": None, "failure": None, "reply_code": None}
    return _close(session, delivery_ids, values | {"reply_text": _because(source)}, now)


def refused(
    session: Session,
    delivery_ids: Collection[int],
    source: Evidence,
    now: datetime.datetime,
    *,
    failure: Failure,
    code: int | None = None,
    text: str = "",
) -> int:
    """Close unknown deliveries as refused for good by the relay, in its words. Returns how many were unknown."""
    values = {"state": DeliveryState.FAILED, "reason": Reason.REFUSED, "failure": failure, "reply_code": code}
    said = f"{_because(source)}: {text}" if text else _because(source)
    return _close(session, delivery_ids, values | {"reply_text": shorten(said)}, now)


def wanted(session: Session, delivery_id: int) -> bool:
    """Tell whether evidence for this delivery would change anything; reads one row, and locks nothing."""
    return session.scalar(select(Delivery.state).where(Delivery.id == delivery_id)) is DeliveryState.UNKNOWN


def of_confirmation(session: Session, confirmation_id: int) -> list[int]:
    """Return the unknown deliveries of a confirmation mail."""
    query = select(Delivery.id).where(
        Delivery.confirmation_id == confirmation_id, Delivery.state == DeliveryState.UNKNOWN
    )
    return list(session.scalars(query))


def _because(source: Evidence) -> str:
    return f"no reply was read, but {_WORDS[source]}"


def _close(session: Session, delivery_ids: Collection[int], values: dict[str, object], now: datetime.datetime) -> int:
    closed = session.execute(
        update(Delivery)
        .where(Delivery.id.in_(delivery_ids), Delivery.state == DeliveryState.UNKNOWN)
        .values(values | {"settled_at": now, "unknown_at": None, "retry_at": None})
        .returning(Delivery.mailing_id)
        .execution_options(synchronize_session=False)
    )
    found = Counter(closed.scalars())
    state = values["state"]
    assert isinstance(state, DeliveryState)
    count(session, {(mailing_id, DeliveryState.UNKNOWN, state): number for mailing_id, number in found.items()})
    return found.total()
