"""What the relay last told us about ourselves: remembered for operators, and a pause while it refuses us.

A relay that is away or refuses our account says nothing about any reader: deliveries stay planned, no attempt is used
up, and sending resumes by itself.
"""

import datetime
from typing import Final

from flask import Flask
from sqlalchemy.orm import Session

from newsletter.delivery.models import FROM_SETTINGS, RelayState
from newsletter.delivery.replies import Outcome
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction

_FIRST_PAUSE: Final = datetime.timedelta(seconds=5)
_LONGEST_PAUSE: Final = datetime.timedelta(minutes=5)
_REMEMBER: Final = datetime.timedelta(seconds=30)


class RelayWatch:
    """The relay's state as one worker process sees and notes it."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._noted: datetime.datetime | None = None

    def paused(self) -> bool:
        """Tell whether to leave the relay alone for now."""
        with self._app.app_context():
            state = db.session.get(RelayState, FROM_SETTINGS)
            return state is not None and state.paused_until is not None and state.paused_until > utc_now()

    def note(self, problem: Outcome | None, *, accepted: int) -> datetime.datetime | None:
        """Note how a chunk went. Returns when to go on, if the relay has a problem with us."""
        now = utc_now()
        if problem is None:
            if accepted and (self._noted is None or now - self._noted > _REMEMBER):
                with self._app.app_context(), transaction() as session:
                    state = _row(session)
                    state.last_accepted_at, state.failures, state.paused_until = now, 0, None
                self._noted = now
            return None
        self._noted = None
        with self._app.app_context(), transaction() as session:
            state = _row(session)
            state.last_error, state.last_error_at = _words(problem), now
            state.paused_until = now + min(_FIRST_PAUSE * 2 ** min(state.failures, 10), _LONGEST_PAUSE)
            state.failures += 1
            return state.paused_until


def _row(session: Session) -> RelayState:
    state = session.get(RelayState, FROM_SETTINGS)
    if state is None:
        state = RelayState(id=FROM_SETTINGS, failures=0)
        session.add(state)
    return state


def _words(problem: Outcome) -> str:
    said = f"{problem.code} {problem.text}" if problem.code else problem.text
    return said or "the connection was lost"
