"""Signed-in browsers. The server decides how long: 12 hours without a sign of life, 7 days in all.

The browser holds a random token, the database its SHA-256: who reads the database cannot sign in with what is there.
"""

import datetime
import hashlib
import secrets
from collections.abc import Sequence
from typing import Final

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from newsletter.operators.models import Operator, OperatorSession

IDLE: Final = datetime.timedelta(hours=12)
LONGEST: Final = datetime.timedelta(days=7)
SEEN_EVERY: Final = datetime.timedelta(minutes=1)
"""How exact `seen_at` is: not every page costs a write."""


def start(session: Session, operator: Operator, now: datetime.datetime, *, user_agent: str = "") -> str:
    """Sign the operator in and return the token for the browser to keep: 256 random bits, new each time."""
    token = secrets.token_urlsafe(32)
    session.add(
        OperatorSession(
            token_hash=_hash(token),
            operator_id=operator.id,
            created_at=now,
            seen_at=now,
            user_agent=user_agent[:300],
        )
    )
    return token


def find(session: Session, token: str, now: datetime.datetime) -> OperatorSession | None:
    """Return the living session behind `token`, its operator loaded; None once it is over or the account closed."""
    found = session.get(OperatorSession, _hash(token))
    if found is None or found.operator.disabled_at is not None:
        return None
    return found if now < min(found.seen_at + IDLE, found.created_at + LONGEST) else None


def unseen(signed_in: OperatorSession, now: datetime.datetime) -> bool:
    """Return whether it is time to note that the session was used."""
    return now - signed_in.seen_at >= SEEN_EVERY


def of(session: Session, operator: Operator, now: datetime.datetime) -> Sequence[OperatorSession]:
    """Return the operator's living sessions, last used first."""
    return session.scalars(
        select(OperatorSession)
        .where(
            OperatorSession.operator_id == operator.id,
            OperatorSession.seen_at > now - IDLE,
            OperatorSession.created_at > now - LONGEST,
        )
        .order_by(OperatorSession.seen_at.desc())
    ).all()


def end(session: Session, token: str) -> None:
    """Sign out the browser that holds `token`."""
    session.execute(delete(OperatorSession).where(OperatorSession.token_hash == _hash(token)))


def end_all(session: Session, operator: Operator, *, keep: str | None = None) -> None:
    """Sign the operator out everywhere, except where the token `keep` is held."""
    kept = _hash(keep) if keep else ""
    session.execute(
        delete(OperatorSession).where(OperatorSession.operator_id == operator.id, OperatorSession.token_hash != kept)
    )


def forget(session: Session, now: datetime.datetime) -> None:
    """Remove the sessions that are over."""
    session.execute(
        delete(OperatorSession).where(
            or_(OperatorSession.seen_at <= now - IDLE, OperatorSession.created_at <= now - LONGEST)
        )
    )


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
