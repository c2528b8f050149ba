"""Starting a run: its window is cut, its audience frozen and its deliveries planned in one transaction."""

import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.audience.models import Cadence
from newsletter.delivery.planning import plan_run
from newsletter.digests import opening
from newsletter.digests.due import DueWave
from newsletter.digests.models import Run
from newsletter.foundation.errors import NotFoundError


def start_wave(session: Session, wave: DueWave, now: datetime.datetime) -> Run | None:
    """Open the run that is due and plan its deliveries, or record why it sends nothing; None if it exists already."""
    if wave.late:
        return opening.skip(session, wave, now)
    run = opening.open_run(session, wave.cadence, wave.period, wave.wave, wave.zones, now)
    if run is not None:
        opening.close(session, run, plan_run(session, run, now), now)
    return run


def start_manual(session: Session, cadence_id: int, key: str, operator: str, now: datetime.datetime) -> Run:
    """Send a cadence's digest now, to all its zones; the same `key` again returns the same run.

    Raises NotFoundError for an unknown cadence.
    """
    cadence = session.get(Cadence, cadence_id)
    if cadence is None or cadence.archived_at is not None:
        raise NotFoundError("There is no such cadence.")
    run = opening.open_manual(session, cadence, key, operator, now)
    if run is None:
        return session.scalars(
            select(Run).where(Run.cadence_id == cadence_id, Run.period == key, Run.wave == opening.ALL_WAVES)
        ).one()
    opening.close(session, run, plan_run(session, run, now), now)
    return run
