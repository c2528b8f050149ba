"""The schedule of a worker with Redis: Celery's beat in a child process, started anew where that has died alone.

Celery itself would not notice: the worker went on, and nothing would ever fall due again.
"""

import logging
import os
from typing import Any, Final

from celery import bootsteps, signals
from celery.beat import EmbeddedService
from celery.worker.components import Beat, Timer

from newsletter.foundation.queue import queue

log = logging.getLogger(__name__)
EVERY: Final = 2.0
"""Seconds between two looks at it."""


class KeepBeat(bootsteps.StartStopStep):
    """Looks after the schedule of a worker that carries it."""

    requires = (Timer, Beat)
    conditional = True

    def __init__(self, worker: Any, *, beat: bool = False, **options: Any) -> None:
        """Be part of `worker` if it was asked for the schedule (`beat`)."""
        self.enabled = beat
        super().__init__(worker, **options)

    def start(self, worker: Any) -> None:
        """Begin to look."""
        self._look = worker.timer.call_repeatedly(EVERY, self._see_to, (worker,))

    def stop(self, worker: Any) -> None:
        """Stop looking, then the schedule; Celery itself stops the first one only."""
        self._look.cancel()
        worker.beat.stop()

    def terminate(self, worker: Any) -> None:
        """As above, where the worker is to end at once."""
        self.stop(worker)

    def _see_to(self, worker: Any) -> None:
        if worker.beat.is_alive():
            return
        log.error("the schedule's process has died and is started again", extra={"status": worker.beat.exitcode})
        worker.beat = EmbeddedService(
            worker.app, schedule_filename=worker.schedule_filename, scheduler_cls=worker.scheduler
        )
        worker.beat.start()


queue.steps["worker"].add(KeepBeat)


@signals.beat_embedded_init.connect
def _begun(**_: object) -> None:
    log.info("schedule", extra={"pid": os.getpid()})
