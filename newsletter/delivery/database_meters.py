"""Due times in the database, for when there is no Redis or while it is away. Slower, and just as exact."""

import datetime
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from flask import Flask
from sqlalchemy import bindparam, delete, select, text, update
from sqlalchemy.orm import Session

from newsletter.delivery.limits import SECOND, Grant, Limit, decide, given_back, in_line, microseconds
from newsletter.delivery.models import Meter
from newsletter.foundation.db import db, insert_new, lock_rows, transaction

_FORGET_AFTER: Final = datetime.timedelta(days=1)
_SET: Final = update(Meter).where(Meter.key == bindparam("b_key")).values(due_at=bindparam("b_due"))


def server_clock(session: Session) -> int:
    """Return the database server's time, which all workers share; SQLite's is this machine's."""
    if session.get_bind().dialect.name != "postgresql":
        return microseconds()
    return int(session.scalar(text("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)")) or 0)


class DatabaseMeters:
    """See Meters. Each call is one short transaction of its own."""

    def __init__(self, app: Flask, clock: Callable[[Session], int] = server_clock) -> None:
        self._app, self._clock = app, clock

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        with self._app.app_context(), transaction() as session:
            if session.get_bind().dialect.name == "postgresql":
                # A crash may forget the last of these; nothing that was sent hangs on them.
                session.execute(text("SET LOCAL synchronous_commit = off"))
            yield session

    def take(self, limits: Sequence[Limit], wanted: int, *, ahead: bool = False, cold: bool = False) -> Grant:
        """See Meters."""
        with self._transaction() as session:
            dues = _locked(session, (key for limit in limits for key in (limit.key, limit.line) if key))
            grant, after = decide(
                limits,
                [dues[limit.key] for limit in limits],
                [dues.get(limit.line, 0) for limit in limits],
                wanted,
                self._clock(session),  # after the wait for the locks
                ahead=ahead,
                cold=cold,
            )
            changed = {limit.key: due for limit, due in zip(limits, after, strict=True) if due != dues[limit.key]}
            if changed:
                _set(session, changed.items())
        return grant

    def give_back(self, limits: Sequence[Limit], number: int) -> None:
        """See Meters."""
        with self._transaction() as session:
            dues = _locked(session, (limit.key for limit in limits))
            _set(session, ((limit.key, given_back(limit, dues[limit.key], number)) for limit in limits))

    def line_up(self, key: str, number: int, interval: float, earliest: int, latest: int) -> int:
        """See Meters."""
        with self._transaction() as session:
            first, end = in_line(_locked(session, [key])[key], number, interval, earliest, latest)
            _set(session, [(key, end)])
        return first

    def put(self, key: str, due: int) -> None:
        """Set one number, whatever it was."""
        with self._transaction() as session:
            put(session, key, due)

    def look(self, key: str) -> int:
        """Return one number, 0 when there is none."""
        with self._app.app_context():
            return db.session.scalar(select(Meter.due_at).where(Meter.key == key)) or 0


def put(session: Session, key: str, due: int) -> None:
    """Set one number, whatever it was."""
    _locked(session, [key])
    _set(session, [(key, due)])


def forget(session: Session, now: datetime.datetime) -> None:
    """Remove the numbers that have long lain in the past: they say nothing any more."""
    session.execute(delete(Meter).where(Meter.due_at < int((now - _FORGET_AFTER).timestamp() * SECOND)))


def _locked(session: Session, keys: Iterable[str]) -> dict[str, int]:
    """Lock the rows of `keys`, made where they are missing, and return their numbers."""
    keys = sorted(set(keys))  # in one order, so that two workers never wait for each other
    query = lock_rows(session, select(Meter.key, Meter.due_at).where(Meter.key.in_(keys)).order_by(Meter.key))
    found = {row.key: row.due_at for row in session.execute(query)}
    if len(found) < len(keys):
        missing = [{"key": key, "due_at": 0} for key in keys if key not in found]
        session.execute(insert_new(session, Meter).values(missing))
        found = {row.key: row.due_at for row in session.execute(query)}
    return found


def _set(session: Session, dues: Iterable[tuple[str, int]]) -> None:
    session.connection().execute(_SET, [{"b_key": key, "b_due": due} for key, due in dues])
