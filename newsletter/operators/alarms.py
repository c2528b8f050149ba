"""Alarms: what an operator must know of, raised once, gone when it is over or seen."""

import datetime
from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from newsletter.foundation.db import insert_new
from newsletter.operators.models import Alarm


def sound(session: Session, key: str, text: str, now: datetime.datetime) -> bool:
    """Raise the alarm called `key`, in one sentence for people; return False when it was raised before."""
    raised = insert_new(session, Alarm).values(key=key[:120], text=text, raised_at=now).returning(Alarm.id)
    return session.scalar(raised) is not None


def end(session: Session, key: str, now: datetime.datetime) -> None:
    """End the alarm called `key`, if there is one: what it was about is over."""
    session.execute(update(Alarm).where(Alarm.key == key[:120], Alarm.ended_at.is_(None)).values(ended_at=now))


def end_all(session: Session, prefix: str, now: datetime.datetime) -> None:
    """End all alarms whose key begins so."""
    begun = Alarm.key.startswith(prefix, autoescape=True)
    session.execute(update(Alarm).where(begun, Alarm.ended_at.is_(None)).values(ended_at=now))


def dismiss(session: Session, alarm_id: int, now: datetime.datetime) -> None:
    """End an alarm because an operator has seen it; a second time changes nothing."""
    session.execute(update(Alarm).where(Alarm.id == alarm_id, Alarm.ended_at.is_(None)).values(ended_at=now))


def standing(session: Session) -> Sequence[Alarm]:
    """Return the alarms that are not over, newest first."""
    return session.scalars(select(Alarm).where(Alarm.ended_at.is_(None)).order_by(Alarm.raised_at.desc())).all()
