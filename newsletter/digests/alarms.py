"""An alarm for each digest that is not out some minutes after its hour, and for one that will never be."""

import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.audience.models import Cadence
from newsletter.digests import due
from newsletter.digests.models import Run, RunState, SkipReason
from newsletter.operators import alarms
from newsletter.operators.models import Alarm

_LATE: Final = "late:"
_MISSED: Final = "missed:"
_LOOK_BACK: Final = datetime.timedelta(days=2)
"""Runs older than this raise nothing anew; what they raised stands until it ends."""


def watch(session: Session, now: datetime.datetime) -> list[str]:
    """Raise what there is to raise, once for each wave, end what is over, and return the keys that were raised now."""
    late = _late(session, now)
    raised = [key for key, text in late.items() if alarms.sound(session, key, text, now)]
    missed = _missed(session, now)
    raised += [key for key, text in missed.items() if alarms.sound(session, key, text, now)]
    standing = session.scalars(select(Alarm.key).where(Alarm.ended_at.is_(None), Alarm.key.startswith(_LATE)))
    for key in set(standing) - late.keys():
        alarms.end(session, key, now)
    return raised


def _late(session: Session, now: datetime.datetime) -> dict[str, str]:
    """Return key and text for each wave that is late now: not opened (or held), or opened and not sent to the end."""
    found = {}
    for waiting in due.waiting_waves(session, now):
        if _past(waiting.cadence, waiting.wave, now):
            why = "is being held" if waiting.held else "has not been started"
            found[_key(_LATE, waiting.cadence, waiting.period, waiting.wave)] = _text(
                waiting.cadence, waiting.period, waiting.wave, why
            )
    unfinished = select(Run).where(Run.state.in_((RunState.PLANNED, RunState.SENDING)), Run.triggered_by == "")
    for run in session.scalars(unfinished):
        if _past(run.cadence, run.wave, now):
            found[_key(_LATE, run.cadence, run.period, run.wave)] = _text(
                run.cadence, run.period, run.wave, "is not all out yet"
            )
    return found


def _missed(session: Session, now: datetime.datetime) -> dict[str, str]:
    skipped = select(Run).where(
        Run.created_at > now - _LOOK_BACK,
        Run.state == RunState.SKIPPED,
        Run.skip_reason.in_((SkipReason.TOO_LATE, SkipReason.HELD)),
    )
    why = {
        SkipReason.TOO_LATE: "was skipped, as it had become too late; its articles wait for the next one",
        SkipReason.HELD: "was held until it was too late; its articles wait for the next one",
        SkipReason.NOTHING_NEW: "",
    }
    return {
        _key(_MISSED, run.cadence, run.period, run.wave): _text(
            run.cadence, run.period, run.wave, why[run.skip_reason or SkipReason.TOO_LATE]
        )
        for run in session.scalars(skipped)
    }


def _past(cadence: Cadence, wave: datetime.datetime, now: datetime.datetime) -> bool:
    return now - wave >= datetime.timedelta(minutes=cadence.alarm_minutes)


def _key(kind: str, cadence: Cadence, period: str, wave: datetime.datetime) -> str:
    return f"{kind}{cadence.slug}:{period}:{wave:%Y-%m-%dT%H:%MZ}"


def _text(cadence: Cadence, period: str, wave: datetime.datetime, why: str) -> str:
    return f"The digest “{cadence.name}” of {period}, due at {wave:%H:%M} UTC, {why}."
