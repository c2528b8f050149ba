"""The tick: number articles whose time has come, start the runs that are due, sound alarms."""

import logging

from newsletter.content import numbering
from newsletter.delivery import starting
from newsletter.digests import alarms, due
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.queue import queue
from newsletter.tasks import ringing

log = logging.getLogger(__name__)


@queue.task(name=ringing.TICK)
def tick() -> None:
    """Number what waited for its date, then start every wave that is due.

    Each in a transaction of its own, so that one that fails holds up no other.
    """
    if numbering.anything_waiting(db.session(), utc_now()):
        with transaction() as session:
            numbering.number_waiting(session, utc_now())
    for wave in due.due_waves(db.session(), utc_now()):
        try:
            with transaction() as session:
                run = starting.start_wave(session, wave, utc_now())
        except Exception:
            log.exception("a run could not be started", extra={"cadence": wave.cadence.slug, "period": wave.period})
            continue
        if run is not None:
            log.info("run", extra={"run": run.id, "state": run.state.value, "readers": run.readers})
            ringing.ring(ringing.SEND)
    with transaction() as session:
        alarms.watch(session, utc_now())
