"""Sending a digest for real: ordered as an operator's page orders it, sent by a worker process, timed by the ledger."""

import contextlib
import datetime
import statistics
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from bench import readers
from bench.measuring import cpu_seconds
from bench.places import ARTICLES, CATEGORIES, Database, application, installation
from newsletter.audience import cadences
from newsletter.audience.models import Subscriber
from newsletter.cli.seed import add_articles
from newsletter.delivery import manual, preview, reports
from newsletter.delivery.models import Worker
from newsletter.digests.models import Run
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from tests.journeys.processes import Installation, eventually

CADENCE: Final = "daily"
_SAMPLE: Final = 16
"""Readers whose mails are composed to learn how large they are."""
_PATIENCE: Final = 120.0
_PATIENCE_EACH: Final = 0.02
"""Seconds that a digest may take, at all and for each of its readers."""


@dataclass(frozen=True)
class Sent:
    """One digest that has gone out."""

    readers: int
    seconds: float
    """From the order to the record of the last `accepted`."""
    under_way: float
    """The same from the moment at which a worker began: without planning, and without its waiting to be seen."""
    cpu: float = 0.0
    """Processor seconds of the workers."""

    @property
    def rate(self) -> float:
        """Mails per second of the whole path."""
        return self.readers / self.seconds

    @property
    def pace(self) -> float:
        """Mails per second once it is under way."""
        return self.readers / self.under_way


@dataclass(frozen=True)
class Station:
    """An installation with readers, articles that are new to them, and a worker that waits for an order."""

    place: Installation
    worker: subprocess.Popen[bytes]

    def digest(self, also: Sequence[subprocess.Popen[bytes]] = ()) -> Sent:
        """Send one, and have the next one's articles published; `also` are other workers that take part."""
        pids = [worker.pid for worker in (self.worker, *also)]
        with application(self.place):
            before = sum(map(cpu_seconds, pids))
            sent = _send()
            used = sum(map(cpu_seconds, pids)) - before
            publish()
        return Sent(sent.readers, sent.seconds, sent.under_way, used)

    def size(self) -> int:
        """Return the mean size in bytes of what some readers would get now."""
        with application(self.place):
            return _usual_size()


@contextlib.contextmanager
def station(
    database: Database, smtp_url: str, count: int, *, signed: bool = False, before: Sequence[str] = ()
) -> Iterator[Station]:
    """Give a station with about `count` readers of the digest; `before` as of `start_worker`.

    Raises Missing where PostgreSQL cannot be had.
    """
    with installation(database, smtp_url) as place:
        readers.fill(place, count)
        if signed:
            place.command("dkim", "generate", "--activate")
        with application(place):
            publish()
        yield Station(place, start_worker(place, before))


def start_worker(place: Installation, before: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    """Start a worker, `before` being the words that put it somewhere else, and wait until it is at work."""
    worker = place.start("worker", before=before)
    with application(place):
        eventually(lambda: _at_work(worker.pid))
    return worker


def publish() -> None:
    """Let the newsroom publish what the next digest is made of."""
    with transaction() as session:
        add_articles(session, ARTICLES, CATEGORIES, utc_now())


def order(session: Session, now: datetime.datetime) -> Run:
    """Order the digest, as an operator does who has just looked at it: everything is planned when this returns."""
    cadence = cadences.by_slug(session, CADENCE)
    return manual.send(session, cadence.id, manual.key(session, cadence.id), "bench", now)[0]


def _send() -> Sent:
    """Order the digest and wait until every mail is accepted."""
    with transaction() as session:
        run = order(session, utc_now())
    eventually(lambda: _finished(run.id), seconds=_PATIENCE + _PATIENCE_EACH * run.readers, every=0.5)
    report = reports.one_run(db.session(), run.id)
    assert report.counts["accepted"] == run.readers > 0, f"{run.readers} readers, but {report.counts}"
    assert report.mailing is not None
    begun, ended = report.mailing.started_at, report.mailing.finished_at
    assert begun is not None
    assert ended is not None
    seconds = (ended - report.run.created_at).total_seconds()
    db.session.rollback()
    return Sent(run.readers, seconds, (ended - begun).total_seconds())


def _finished(run_id: int) -> bool:
    done = db.session.scalar(select(Run.finished_at).where(Run.id == run_id)) is not None
    db.session.rollback()  # an open read would keep SQLite's log growing
    return done


def _at_work(pid: int) -> bool:
    known = db.session.scalars(select(exists().where(Worker.name.like(f"%:{pid}:%")))).one()
    db.session.rollback()
    return known


def _usual_size() -> int:
    session, now = db.session(), utc_now()
    cadence = cadences.by_slug(session, CADENCE)
    some = session.scalars(select(Subscriber.id).order_by(Subscriber.id).limit(_SAMPLE)).all()
    sizes = [len(preview.compose_test(session, cadence, reader, "a@limit.example", now).content) for reader in some]
    session.rollback()
    return round(statistics.mean(sizes))
