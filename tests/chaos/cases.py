"""One small digest with one fault in it: played by worker processes that are forked ready-made, so that there can be
many of them."""

import contextlib
import datetime
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final
from unittest import mock

from flask import Flask
from sqlalchemy import select

from newsletter.app import create_app
from newsletter.audience.models import Subscriber
from newsletter.delivery import ledger, planning, recovery
from newsletter.delivery.models import Delivery, Mailing, MailingState
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.services import services
from newsletter.tasks import engines
from tests.chaos import checker
from tests.chaos.failpoints import Fault, install
from tests.chaos.ground import Ground
from tests.chaos.sink import Seen
from tests.conftest import make_settings
from tests.delivery import world
from tests.delivery.sink import Sink

READERS: Final = 60
CHUNK: Final = 25
LEASE: Final = datetime.timedelta(seconds=1.5)
_STUCK: Final = 90.0
NOWHERE: Final = Fault("", "", 0, 0)
_planning = threading.Lock()
_forking = multiprocessing.get_context("forkserver")
_forking.set_forkserver_preload(["tests.chaos.cases"])
Break = Callable[[], None]
"""Breaks the program on purpose, in the process that is to work: a negative control."""


@dataclass
class Case:
    """A digest of READERS, planned, and who works on it."""

    app: Flask
    folder: Path
    url: str
    sink: Sink
    workers: list[BaseProcess] = field(default_factory=list)

    def work(self, fault: Fault | None = None, broken: Break | None = None) -> BaseProcess:
        """Let a worker process begin."""
        given = (self.folder, self.url, self.sink.url, fault, broken)
        process = _forking.Process(target=_work, args=given, daemon=True)
        process.start()
        self.workers.append(process)
        return process

    def finished(self) -> bool:
        """Whether the digest is out."""
        with self.app.app_context():
            found = db.session().scalar(select(Mailing.state)) is MailingState.FINISHED
            db.session.remove()
        return found

    def over(self) -> bool:
        """Wait until it is out and all who work have ended; say whether they came to that."""
        deadline = time.monotonic() + _STUCK
        while time.monotonic() < deadline:
            at_work = any(one.is_alive() for one in self.workers)
            if not at_work and self.finished():
                return True
            if not at_work:  # what the last one told when it ended is the next one's work
                self.work()
            time.sleep(0.1)
        return False

    def findings(self) -> checker.Findings:
        """Compare."""
        with self.app.app_context():
            world.states(db.session())
            query = select(Subscriber.address, Delivery.state).join(Delivery, Delivery.subscriber_id == Subscriber.id)
            states = {address: state.value for address, state in db.session().execute(query)}
            db.session.remove()
        return checker.compare(states, [Seen(0, "+", recipient, sender) for sender, recipient, _ in self.sink.messages])


@contextlib.contextmanager
def case(ground: Ground, kind: str, folder: Path) -> Iterator[Case]:
    """Set up a case on `kind`, with an empty `folder` of its own."""
    folder.mkdir()
    with ground.database(kind, folder) as url, Sink(delay=0.002) as sink:
        with _planning:  # one at a time, too: some Pythons 3.11 cannot parse in two threads at once, as routes do
            app = create_app(make_settings(folder, database_url=url, smtp_url=sink.url))
        with app.app_context(), _planning, mock.patch.object(planning, "CHUNK", CHUNK):
            world.build(READERS)
            world.start()
        one = Case(app, folder, url, sink)
        try:
            yield one
        finally:
            for process in one.workers:
                process.kill()
                process.join()
            with app.app_context():
                db.session.remove()
                db.engine.dispose()


def _work(folder: Path, url: str, smtp_url: str, fault: Fault | None, broken: Break | None) -> None:
    """Do what a worker does until the digest is out: slices of sending, and the sweep between them."""
    app = create_app(make_settings(folder, database_url=url, smtp_url=smtp_url, smtp_connections=1))
    install(fault or NOWHERE, LEASE if fault is not None and fault.outlasts else ledger.LEASE)
    if broken is not None:
        broken()
    with app.app_context():
        deadline = time.monotonic() + _STUCK
        while time.monotonic() < deadline:
            # A task that fails is logged, and the next bell rings for the same work.
            with contextlib.suppress(Exception):
                engines.engine(app).run(bulk=True, seconds=1)
            with contextlib.suppress(Exception):
                recovery.recover(engines.journals(services().settings), utc_now())
                with transaction() as session:
                    recovery.reap(session, utc_now())
                    recovery.regroup_due(session, utc_now())
            if db.session().scalar(select(Mailing.state)) is MailingState.FINISHED:
                break
            db.session.remove()
            time.sleep(0.05)
        engines.close()
