"""The embedded worker: one process that owns an in-process Celery broker and looks for work all the time.

The main thread is Celery's worker, and all that it does is sending (one task at a time: confirmations and slices of
bulk take turns). One thread rings the bells, one keeps house, another fetches sources, so that neither a slow site nor
a big digest keeps what is due waiting.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from celery import signals
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from newsletter.foundation.clock import monotonic
from newsletter.foundation.queue import Queue, queue
from newsletter.tasks import content, digests, engines, ringing, sending, upkeep

log = logging.getLogger(__name__)
_LOOK: Final = 0.25
"""Seconds between two looks for what is to be sent."""
_HOUSE: Final = {digests.tick: 5.0, upkeep.sweep: 5.0, upkeep.clean: 600.0, upkeep.look_hosts_up: 60.0}
_SOURCES: Final = {content.fetch_due: 1.0}
"""What is done in which rhythm, in seconds."""
_FAREWELL: Final = 5.0
"""Seconds that what is being done at the end has to finish."""


class Bellringer(threading.Thread):
    """Looks for what is to be sent and rings for it, but never twice before the first has been answered."""

    def __init__(self, app: Flask, send: Callable[[str], Any], stopped: threading.Event) -> None:
        super().__init__(name="bells", daemon=True)
        self._app, self._send, self._stopped = app, send, stopped
        self._waiting: set[str] = set()
        signals.task_postrun.connect(self._answered, weak=False)

    def run(self) -> None:
        """Ring until stopped."""
        while not self._stopped.wait(_LOOK):
            try:
                for task, bulk in ((ringing.CONFIRM, False), (ringing.SEND, True)):
                    if task not in self._waiting and self._is_due(bulk=bulk):
                        self._waiting.add(task)
                        self._send(task)
            except SQLAlchemyError as error:
                log.warning("the database cannot be asked", extra={"reason": type(error).__name__})

    def _is_due(self, *, bulk: bool) -> bool:
        with self._app.app_context():
            return sending.anything_due(bulk=bulk)

    def _answered(self, sender: Any = None, **_: object) -> None:
        self._waiting.discard(getattr(sender, "name", ""))


def rounds(app: Flask, acts: Mapping[Callable[[], None], float], stopped: threading.Event) -> None:
    """Do each of `acts` in its rhythm until stopped, one after the other."""
    due = dict.fromkeys(acts, 0.0)
    while not stopped.wait(0.2):
        for act, seconds in acts.items():
            if monotonic() >= due[act] and not stopped.is_set():
                try:
                    with app.app_context():
                        act()
                except Exception:
                    log.exception("this is tried again later", extra={"act": act.__name__})
                due[act] = monotonic() + seconds


def run(app: Flask) -> None:
    """Work until SIGTERM or SIGINT; then finish the messages on the wire and give the rest back.

    Raises ConflictError when another worker is sending from the same SQLite database.
    """
    with app.app_context():
        engines.engine(app)  # takes the lock, and recovers what a killed worker left, before anything is rung
    ringing.Bells.in_worker = True
    stopped = threading.Event()
    bells = Bellringer(app, queue.send_task, stopped)
    house = threading.Thread(target=rounds, args=(app, _HOUSE, stopped), name="house", daemon=True)
    sources = threading.Thread(target=rounds, args=(app, _SOURCES, stopped), name="sources", daemon=True)

    def ready(**_: object) -> None:
        for thread in (bells, house, sources):
            thread.start()

    signals.worker_ready.connect(ready, weak=False)
    try:
        queue.Worker(
            pool="solo",
            concurrency=1,
            queues=[name.value for name in Queue],
            loglevel="WARNING",
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            hostname=f"embedded@{engines.name()}",
        ).start()
    finally:
        stopped.set()
        if house.is_alive():
            house.join(_FAREWELL)
        with app.app_context():
            engines.close()
