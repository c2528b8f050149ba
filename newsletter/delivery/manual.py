"""Digests that an operator sends by hand: what must be in place, and how one order stays one run.

The key of an order is made from what its operator saw, the cadence's last run. Two operators who look at the same
digest hold the same key, as do the two clicks of a double click: whoever comes second is shown the run of the first.
Whoever looked before something else went out is asked to look again.
"""

import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.delivery import reports, starting
from newsletter.digests.models import Run
from newsletter.digests.opening import ALL_WAVES
from newsletter.foundation.errors import ConflictError
from newsletter.publication import identity


def key(session: Session, cadence_id: int) -> str:
    """Return the key of an order that is given now."""
    last = reports.last_run(session, cadence_id)
    return f"after-{last.id if last else 0}"


def problems(session: Session) -> list[str]:
    """Return a sentence for each thing that keeps any digest from being sent."""
    return identity.problems(identity.load(session))


def send(session: Session, cadence_id: int, given: str, operator: str, now: datetime.datetime) -> tuple[Run, bool]:
    """Send the cadence's digest now; return its run, and whether this order made it.

    Raises NotFoundError, and ConflictError while the publication is incomplete or when another run came in between.
    """
    missing = problems(session)
    if missing:
        raise ConflictError("Nothing can be sent before the publication is complete. " + " ".join(missing))
    order = (Run.cadence_id == cadence_id, Run.period == given, Run.wave == ALL_WAVES)
    made = session.scalar(select(Run).where(*order))
    if made is not None:
        return made, False
    if given != key(session, cadence_id):
        raise ConflictError("Another digest went out since you looked. Please look again before you send.")
    run = starting.start_manual(session, cadence_id, given, operator, now)
    return run, run.created_at == now and run.triggered_by == operator
