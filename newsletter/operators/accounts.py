"""Operators' accounts: made on the command line, never by a page that is open to everybody."""

import datetime
import unicodedata
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.foundation.errors import ConflictError, InvalidError, NotFoundError
from newsletter.operators import passwords, sessions
from newsletter.operators.models import Operator


def folded(login: str) -> str:
    """Return the form in which a login is stored and looked for: typed with capitals it is the same."""
    return unicodedata.normalize("NFKC", login).strip().casefold()


def add(session: Session, login: str, password: str, now: datetime.datetime) -> Operator:
    """Make an operator. Raises ConflictError when the login is taken, InvalidError for a bad login or weak password."""
    login = folded(login)
    if not 1 <= len(login) <= 120 or not login.isprintable():
        raise InvalidError("A login has 1 to 120 visible characters, such as a name or an e-mail address.")
    if find(session, login):
        raise ConflictError(f"There is an operator “{login}” already. `newsletter operators password` changes theirs.")
    operator = Operator(login=login, password_hash=passwords.hashed(password, login), created_at=now)
    session.add(operator)
    session.flush()
    return operator


def everyone(session: Session) -> Sequence[Operator]:
    """Return all operators, by login."""
    return session.scalars(select(Operator).order_by(Operator.login)).all()


def find(session: Session, login: str) -> Operator | None:
    """Return the operator with this login, disabled or not."""
    return session.scalar(select(Operator).where(Operator.login == folded(login)))


def named(session: Session, login: str) -> Operator:
    """Return the operator with this login. Raises NotFoundError."""
    operator = find(session, login)
    if operator is None:
        raise NotFoundError(f"There is no operator “{folded(login)}”. `newsletter operators list` shows who there is.")
    return operator


def change_password(session: Session, operator: Operator, password: str, *, keep: str | None = None) -> None:
    """Set a new password and end the operator's sessions, except the one of the token `keep`. Raises InvalidError."""
    operator.password_hash = passwords.hashed(password, operator.login)
    sessions.end_all(session, operator, keep=keep)


def disable(session: Session, operator: Operator, now: datetime.datetime) -> None:
    """Close the account and end its sessions; a second time changes nothing."""
    operator.disabled_at = operator.disabled_at or now
    sessions.end_all(session, operator)


def enable(operator: Operator) -> None:
    """Open a closed account again; its password is as it was."""
    operator.disabled_at = None
