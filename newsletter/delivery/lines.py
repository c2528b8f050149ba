"""Lines of deliveries that wait for a limit: each has been told a time, and when limits change all are told anew."""

import datetime
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from newsletter.delivery import database_meters
from newsletter.delivery.limits import SECOND
from newsletter.delivery.models import Delivery, DeliveryState, Meter

_BEGUN: Final = "lines begun"


def move_up(session: Session, now: datetime.datetime) -> int:
    """Let all that wait for a limit ask again now, and begin new lines: a limit has changed. Returns how many wait."""
    database_meters.put(session, _BEGUN, to_microseconds(now))
    moved = session.execute(
        update(Delivery)
        .where(
            Delivery.retry_at > now,
            Delivery.state == DeliveryState.DEFERRED,
            Delivery.reply_code.is_(None),  # nobody refused it: it only waits
        )
        .values(retry_at=now)
        .execution_options(synchronize_session=False)
    )
    return int(moved.rowcount)  # type: ignore[attr-defined]  # a cursor's result has it


def begun(session: Session) -> int:
    """Return since when the lines of today stand: part of their keys."""
    return session.scalar(select(Meter.due_at).where(Meter.key == _BEGUN)) or 0


def last_waits_until(session: Session) -> int:
    """Return when the last of all deferred deliveries is tried again, in microseconds; no line is longer than that."""
    last = session.scalar(select(func.max(Delivery.retry_at)).where(Delivery.retry_at.is_not(None)))
    return to_microseconds(last) if last else 0


def to_microseconds(when: datetime.datetime) -> int:
    """Return an instant as microseconds since the epoch."""
    return round(when.timestamp() * SECOND)


def to_datetime(microseconds: float) -> datetime.datetime:
    """Return microseconds since the epoch as an instant."""
    return datetime.datetime.fromtimestamp(microseconds / SECOND, datetime.UTC)
