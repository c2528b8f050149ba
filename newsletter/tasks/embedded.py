"""The embedded worker: one process that owns an in-process Celery broker and looks for work each second.

The main thread is Celery's worker (one task at a time: confirmations and slices of bulk take turns). One thread rings
the bells; another fetches sources, so that a slow site never keeps a confirmation waiting.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any, Final

from celery import signals
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from newsletter.foundation.clock import monotonic
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.queue import Queue, queue
from newsletter.tasks import content, engines, ringing

log = logging.getLogger(__name__)
_EVERY: Final = {
    ringing.CONFIRM: 1.0,
    ringing.SEND: 1.0,
    ringing.TICK: 5.0,
    ringing.SWEEP: 5.0,
    ringing.CLEAN: 600.0,
    ringing.HOSTS: 60.0,
}
"""Seconds between two bells for the same task."""


class Bellringer(threading.Thread):
    """Rings for each task in its rhythm, but never twice before the first has been answered."""

    def __init__(self, send: Callable[[str], Any], stopped: threading.Event) -> None:
        super().__init__(name="bells", daemon=True)
        self._send, self._stopped = send, stopped
        self._waiting: set[str] = set()
        signals.task_postrun.connect(self._answered, weak=False)

    def run(self) -> None:
        """Ring until stopped."""
        due = dict.fromkeys(_EVERY, 0.0)
        while not self._stopped.wait(0.2):
            for task, seconds in _EVERY.items():
                if monotonic() >= due[task] and task not in self._waiting:
                    due[task] = monotonic() + seconds
                    self._waiting.add(task)
                    self._send(task)

    def _answered(self, sender: Any = None, **_: object) -> None:
        self._waiting.discard(getattr(sender, "name", ""))


def fetching(app: Flask, stopped: threading.Event) -> None:
    """Fetch sources that are due, again and again, until stopped."""
    while not stopped.wait(1.0):
        try:
            with app.app_context():
                content.fetch_due()
        except (NewsletterError, SQLAlchemyError):
            log.exception("sources could not be fetched")


def run(app: Flask) -> None:
    """Work until SIGTERM or SIGINT; then finish the messages on the wire and give the rest back.

    Raises ConflictError when another worker is sending from the same SQLite database.
    """
    with app.app_context():
        engines.engine(app)  # takes the lock, and recovers what a killed worker left, before anything is rung
    ringing.Bells.in_worker = True
    stopped = threading.Event()
    bells = Bellringer(queue.send_task, stopped)
    threads = [bells, threading.Thread(target=fetching, args=(app, stopped), name="fetching", daemon=True)]

    def ready(**_: object) -> None:
        for thread in threads:
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
        with app.app_context():
            engines.close()
