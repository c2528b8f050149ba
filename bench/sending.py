"""Sending a digest for real: ordered as an operator's page orders it, sent by a worker process, timed by the ledger."""

import datetime
import statistics
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from bench.places import ARTICLES, CATEGORIES
from newsletter.audience import cadences
from newsletter.audience.models import Subscriber
from newsletter.cli.seed import add_articles
from newsletter.delivery import manual, preview, reports
from newsletter.digests.models import Run
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from tests.journeys.processes import eventually

CADENCE: Final = "daily"
_SAMPLE: Final = 16
"""Readers whose mails are composed to learn how large they are."""
_PATIENCE: Final = 300.0
"""Seconds that a digest may take."""


@dataclass(frozen=True)
class Sent:
    """One digest that has gone out."""

    readers: int
    seconds: float
    """From the order to the record of the last `accepted`."""


def publish() -> None:
    """Let the newsroom publish what the next digest is made of."""
    with transaction() as session:
        add_articles(session, ARTICLES, CATEGORIES, utc_now())


def order(session: Session, now: datetime.datetime) -> Run:
    """Order the digest, as an operator does who has just looked at it: everything is planned when this returns."""
    cadence = cadences.by_slug(session, CADENCE)
    return manual.send(session, cadence.id, manual.key(session, cadence.id), "bench", now)[0]


def send() -> Sent:
    """Order the digest and wait until every mail is accepted."""
    with transaction() as session:
        run = order(session, utc_now())
    eventually(lambda: _finished(run.id), seconds=_PATIENCE, every=0.1)
    report = reports.one_run(db.session(), run.id)
    assert report.counts["accepted"] == run.readers > 0, f"{run.readers} readers, but {report.counts}"
    assert report.run.finished_at is not None
    seconds = (report.run.finished_at - report.run.created_at).total_seconds()
    db.session.rollback()
    return Sent(run.readers, seconds)


def _finished(run_id: int) -> bool:
    done = db.session.scalar(select(Run.finished_at).where(Run.id == run_id)) is not None
    db.session.rollback()  # an open read would keep SQLite's log growing
    return done


def usual_size() -> int:
    """Return the mean size in bytes of what some readers would get now."""
    session, now = db.session(), utc_now()
    cadence = cadences.by_slug(session, CADENCE)
    readers = session.scalars(select(Subscriber.id).order_by(Subscriber.id).limit(_SAMPLE)).all()
    sizes = [len(preview.compose_test(session, cadence, reader, "a@limit.example", now).content) for reader in readers]
    session.rollback()
    return round(statistics.mean(sizes))
