"""What relays told us about ourselves: a pause while one is away or refuses us, and a hold when trying again is no use.

A relay that is away or refuses our account says nothing about any reader: deliveries stay planned, no attempt is used
up, and after a pause one connection tries again by itself. Who goes on knocking with a wrong password is locked out,
so after some refusals in a row the relay is held until an operator resumes it.
"""

import datetime
from typing import Final

from flask import Flask
from sqlalchemy import update
from sqlalchemy.orm import Session

from newsletter.delivery.models import FROM_SETTINGS, Mailing, MailingState, Relay, RelayState
from newsletter.delivery.replies import Outcome
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, insert_new, transaction
from newsletter.foundation.errors import ConflictError, NotFoundError
from newsletter.operators import alarms

FIRST_PAUSE: Final = datetime.timedelta(seconds=5)
LONGEST_PAUSE: Final = datetime.timedelta(minutes=5)
MOST_REFUSALS: Final = 8
"""Refusals for good (5xx) of our account or host in a row, about ten minutes of trying: then the relay is held."""
_REMEMBER: Final = datetime.timedelta(seconds=30)


class RelayWatch:
    """The relays' states as one worker process sees and notes them."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._noted: dict[int, datetime.datetime] = {}

    def paused(self, relay_id: int) -> bool:
        """Tell whether to leave the relay alone for now."""
        with self._app.app_context():
            state = db.session.get(RelayState, relay_id)
            return state is not None and (
                state.held_at is not None or (state.paused_until is not None and state.paused_until > utc_now())
            )

    def note(self, relay_id: int, problem: Outcome | None, *, accepted: int) -> datetime.datetime | None:
        """Note how it went with a relay. Returns when to go on, if it has a problem with us."""
        now = utc_now()
        if problem is not None:
            self._noted.pop(relay_id, None)
            with self._app.app_context(), transaction() as session:
                return trouble(session, relay_id, problem, now)
        noted = self._noted.get(relay_id)
        if accepted and (noted is None or now - noted > _REMEMBER):
            with self._app.app_context(), transaction() as session:
                well(session, relay_id, now)
            self._noted[relay_id] = now
        return None


def well(session: Session, relay_id: int, now: datetime.datetime) -> None:
    """Note that the relay takes our mail. One that was held meanwhile stays so: that is an operator's to end."""
    state = _row(session, relay_id)
    state.last_accepted_at, state.failures, state.refusals, state.paused_until = now, 0, 0, None


def trouble(session: Session, relay_id: int, problem: Outcome, now: datetime.datetime) -> datetime.datetime:
    """Note what the relay has against us, pause it, and hold it where trying is no use. Returns when to go on.

    What several workers meet at the same time counts once.
    """
    state = _row(session, relay_id)
    state.last_error, state.last_error_at = _words(problem), now
    if state.paused_until is not None and state.paused_until > now:
        return state.paused_until
    state.paused_until = now + min(FIRST_PAUSE * 2 ** min(state.failures, 10), LONGEST_PAUSE)
    state.failures += 1
    state.refusals = state.refusals + 1 if _refuses_us(problem) else 0
    if state.refusals >= MOST_REFUSALS and state.held_at is None:
        because = (
            f"It refused our account or our host {state.refusals} times in a row, last with “{state.last_error}”. "
            "Check the user name, the password and whether the account is in order, then resume it."
        )
        hold(session, relay_id, now, because=because)
    return state.paused_until


def hold(session: Session, relay_id: int, now: datetime.datetime, *, because: str = "") -> bool:
    """Hand the relay nothing until an operator resumes it; mails on the wire finish.

    With `because`, a sentence or two, it was not an operator who wanted that, and an alarm tells them. Returns False if
    it is held already. Raises NotFoundError.
    """
    state = _row(session, relay_id)
    if state.held_at is not None:
        return False
    state.held_at, state.held_because = now, because
    if because:
        alarms.sound(session, _alarm(state), f"{_name(session, relay_id)} is held. {because}", now)
    return True


def resume(session: Session, relay_id: int, now: datetime.datetime) -> None:
    """Use a held or paused relay again at once. Raises ConflictError if it is neither, and NotFoundError."""
    state = _row(session, relay_id)
    if state.held_at is None and (state.paused_until is None or state.paused_until <= now):
        raise ConflictError("This relay is neither held nor paused.")
    if state.held_at is not None:
        alarms.end(session, _alarm(state), now)
    state.held_at, state.held_because = None, ""
    state.paused_until, state.failures, state.refusals = None, 0, 0
    ask_again(session)


def ask_again(session: Session) -> None:
    """Let mailings that wait for a relay or a limit ask again now: something has changed."""
    session.execute(
        update(Mailing)
        .where(Mailing.state == MailingState.SENDING, Mailing.not_before.is_not(None))
        .values(not_before=None)
        .execution_options(synchronize_session=False)
    )


def _row(session: Session, relay_id: int) -> RelayState:
    """Return the relay's state, locked; two workers may make the first one at the same time."""
    if relay_id != FROM_SETTINGS and session.get(Relay, relay_id) is None:
        raise NotFoundError("There is no such relay.")
    if session.get(RelayState, relay_id) is None:
        fresh = {"id": relay_id, "last_error": "", "held_because": "", "failures": 0, "refusals": 0}
        session.execute(insert_new(session, RelayState).values(fresh))
    return session.get_one(RelayState, relay_id, populate_existing=True, with_for_update=True)


def _name(session: Session, relay_id: int) -> str:
    relay = session.get(Relay, relay_id)
    return f"The relay {relay.name}" if relay else "The relay of the settings"


def _alarm(state: RelayState) -> str:
    return f"relay:{state.id}:{state.held_at:%Y-%m-%dT%H:%M:%SZ}"


def _refuses_us(problem: Outcome) -> bool:
    """Tell a refusal for good, before any reader was named, from a relay that is merely away."""
    return problem.code is not None and 500 <= problem.code < 600


def _words(problem: Outcome) -> str:
    said = f"{problem.code} {problem.text}" if problem.code else problem.text
    return said or "the connection was lost"
