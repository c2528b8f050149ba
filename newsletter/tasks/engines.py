"""The sending engine of this process: made when first asked for, kept, closed when the process ends politely."""

import datetime
import fcntl
import multiprocessing
import os
import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from celery import signals
from flask import Flask

from newsletter.delivery import control, recovery, relays, watching, workers
from newsletter.delivery.breaking import Breaker
from newsletter.delivery.desk import Desk
from newsletter.delivery.endpoints import Endpoint
from newsletter.delivery.engine import Engine
from newsletter.delivery.journal import Journal
from newsletter.delivery.ledger import Ledger
from newsletter.delivery.throttling import Throttle
from newsletter.delivery.watching import RelayWatch
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.errors import ConflictError
from newsletter.foundation.queue import ContextTask
from newsletter.foundation.services import services
from newsletter.foundation.settings import Settings

_LOCK: Final = threading.Lock()
_ENDING: Final = multiprocessing.get_context("fork").Event()
"""Set when this worker is told to end. Its children share it: Celery tells them nothing until their task is done."""


@dataclass
class _Kept:
    pid: int
    name: str
    engine: Engine
    lock: int | None


_kept: list[_Kept] = []


def journals(settings: Settings) -> Path:
    """Return the folder of the journals of this host's workers."""
    return settings.data_dir / "journals"


def name() -> str | None:
    """Return the name of this process's worker, if it has an engine."""
    return _kept[0].name if _kept and _kept[0].pid == os.getpid() else None


def engine(app: Flask) -> Engine:
    """Return this process's engine. A forked child makes its own.

    Raises ConflictError on SQLite when another process is sending already: there it must be only one.
    """
    with _LOCK:
        if _kept and _kept[0].pid != os.getpid():
            _kept.clear()  # the parent's: its connections are not ours to use
        if not _kept:
            _kept.append(_make(app))
        return _kept[0].engine


def _make(app: Flask) -> _Kept:
    settings = services().settings
    lock = _only_one(settings) if settings.database.startswith("sqlite") else None
    recovery.recover(journals(settings), utc_now())
    owner = workers.new_name()
    made = Engine(desk(app, owner), partial(Journal, journals(settings), owner), _ENDING.is_set)
    return _Kept(os.getpid(), owner, made, lock)


def desk(app: Flask, owner: str) -> Desk:
    """Return whom an engine of this process asks and tells."""

    def usable(sender: str, stream: str) -> list[Endpoint]:
        with app.app_context():
            return relays.usable(db.session(), sender, stream, utc_now())

    def ready_at(sender: str, stream: str) -> datetime.datetime | None:
        with app.app_context():
            return relays.ready_at(db.session(), sender, stream, utc_now())

    def broken(mailing_id: int, because: str) -> None:
        with app.app_context(), transaction() as session:
            control.pause_by_itself(session, mailing_id, because, utc_now())

    def hold(relay_id: int, because: str) -> None:
        with app.app_context(), transaction() as session:
            watching.hold(session, relay_id, utc_now(), because=because)

    return Desk(Ledger(app, owner), usable, ready_at, Throttle(app, owner), RelayWatch(app), Breaker(), broken, hold)


def _only_one(settings: Settings) -> int:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    fd = os.open(settings.data_dir / "sending.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise ConflictError(
            "Another worker is sending from this SQLite database. Stop it first, or use PostgreSQL for several workers."
        ) from None
    return fd


def close() -> None:
    """Close the engine, if this process has one."""
    with _LOCK:
        for kept in _kept:
            if kept.pid == os.getpid():
                kept.engine.close()
                if kept.lock is not None:
                    os.close(kept.lock)
        _kept.clear()


@signals.worker_shutting_down.connect
def _ending(**_: object) -> None:
    """Let the engines finish the messages on the wire and hand nothing more over."""
    _ENDING.set()


@signals.worker_process_init.connect
def _after_fork(**_: object) -> None:
    """Leave the parent's database connections to the parent."""
    flask_app = ContextTask.flask_app
    if flask_app is not None:
        with flask_app.app_context():
            db.engine.dispose(close=False)


@signals.worker_process_shutdown.connect
def _before_exit(**_: object) -> None:
    close()
