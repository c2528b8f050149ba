"""What operators see of runs and deliveries: counts that the ledger keeps, never a count over a large table."""

import datetime
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from newsletter.audience.models import Subscriber
from newsletter.delivery.models import (
    Delivery,
    DeliveryState,
    Mailing,
    MailingKind,
    MailingState,
    Reason,
)
from newsletter.digests.models import Run
from newsletter.foundation.errors import NotFoundError

_PAGE: Final = 5000


@dataclass(frozen=True)
class Progress:
    """How far a mailing is. `open` ones are still to be handed over; deferred ones wait for their own time."""

    total: int
    done: int
    open: int
    rate: float
    """Deliveries settled per second, since the first was handed over."""
    seconds_left: int | None


@dataclass(frozen=True)
class RunReport:
    """A run and what became of its deliveries; `mailing` is None where there were none to plan."""

    run: Run
    mailing: Mailing | None

    @property
    def state(self) -> str:
        """The run's state, or that it is paused."""
        paused = self.mailing is not None and self.mailing.state is MailingState.PAUSED
        return MailingState.PAUSED.value if paused else self.run.state.value

    @property
    def counts(self) -> dict[str, int]:
        """State to number of deliveries."""
        return self.mailing.counts if self.mailing else dict.fromkeys(map(str, DeliveryState), 0)

    def as_row(self) -> dict[str, Any]:
        """Return it as plain values, for programs."""
        run = self.run
        return {
            "id": run.id,
            "cadence": run.cadence.slug,
            "period": None if run.manual else run.period,
            "wave": None if run.manual else run.wave,
            "triggered_by": run.triggered_by or None,
            "state": self.state,
            "skip_reason": run.skip_reason,
            "readers": run.readers,
            "articles": run.articles,
            "window": [run.after_number, run.cut_number],
            "subject": run.subject,
            "created_at": run.created_at,
            "finished_at": run.finished_at,
            "deliveries": self.counts,
        }


def recent_runs(session: Session, *, before: int | None = None, limit: int = 30) -> list[RunReport]:
    """Return runs, newest first; `before` is the id of the last one of the page above."""
    query = _runs().order_by(Run.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Run.id < before)
    return [RunReport(run, mailing) for run, mailing in session.execute(query)]


def one_run(session: Session, run_id: int) -> RunReport:
    """Return one run as it is now. Raises NotFoundError."""
    found = session.execute(_runs().where(Run.id == run_id)).one_or_none()
    if found is None:
        raise NotFoundError("There is no such run.")
    return RunReport(*found)


def progress(mailing: Mailing, now: datetime.datetime) -> Progress:
    """Return how far `mailing` is, and at its pace so far how long it takes."""
    counts = mailing.counts
    waiting = mailing.planned + mailing.sending
    total = sum(counts.values())
    done = total - waiting - mailing.deferred
    seconds = ((mailing.finished_at or now) - mailing.started_at).total_seconds() if mailing.started_at else 0.0
    rate = done / seconds if seconds > 0 else 0.0
    moving = mailing.state is MailingState.SENDING and rate > 0
    return Progress(total, done, waiting, rate, round(waiting / rate) if moving else None)


@dataclass(frozen=True)
class DeliveryRow:
    """One mail to one reader (or to a colleague who gets a copy) as operators see it."""

    id: int
    run_id: int | None
    kind: MailingKind
    address: str | None
    """None once the reader is forgotten."""
    subscriber_id: int | None
    state: DeliveryState
    reason: Reason | None
    attempts: int
    offered_at: datetime.datetime | None
    settled_at: datetime.datetime | None
    retry_at: datetime.datetime | None
    reply_code: int | None
    reply_text: str | None

    def as_row(self) -> dict[str, Any]:
        """Return it as plain values, for programs."""
        return asdict(self)


def deliveries(
    session: Session,
    *,
    run_id: int | None = None,
    state: DeliveryState | None = None,
    after: int = 0,
    limit: int = 100,
) -> list[DeliveryRow]:
    """Return deliveries by id, following the one called `after`; of one run and in one state where asked."""
    query = _deliveries().where(Delivery.id > after).order_by(Delivery.id).limit(limit)
    if run_id is not None:
        query = query.where(Mailing.run_id == run_id)
    if state is not None:
        query = query.where(Delivery.state == state)
    return [DeliveryRow(*row) for row in session.execute(query)]


def all_deliveries(
    session: Session, *, run_id: int | None = None, state: DeliveryState | None = None
) -> Iterator[DeliveryRow]:
    """Give every delivery, however many, a page of them in memory at a time."""
    after = 0
    while page := deliveries(session, run_id=run_id, state=state, after=after, limit=_PAGE):
        yield from page
        after = page[-1].id


def open_unknown(session: Session, *, run_id: int | None = None, after: int = 0, limit: int = 100) -> list[DeliveryRow]:
    """Return deliveries whose fate is unknown and that nobody has settled yet; of one run where asked."""
    query = _deliveries().where(Delivery.unknown_at.is_not(None), Delivery.id > after)
    if run_id is not None:
        query = query.where(Mailing.run_id == run_id)
    return [DeliveryRow(*row) for row in session.execute(query.order_by(Delivery.id).limit(limit))]


def count_open_unknown(session: Session, *, run_id: int | None = None) -> int:
    """Count those, by their own small index."""
    query = select(func.count()).select_from(Delivery).where(Delivery.unknown_at.is_not(None))
    if run_id is not None:
        query = query.join(Mailing, Mailing.id == Delivery.mailing_id).where(Mailing.run_id == run_id)
    return session.scalar(query) or 0


def _runs() -> Select[Run, Mailing]:
    """Select runs with their mailings (None where there is none, which the type of an outer join does not tell).

    Workers move the counters in other processes: what this session has read before is not believed.
    """
    query = select(Run, Mailing).outerjoin(Mailing, Mailing.run_id == Run.id)
    return query.execution_options(populate_existing=True)


def _deliveries() -> Any:
    return (
        select(
            Delivery.id,
            Mailing.run_id,
            Mailing.kind,
            func.coalesce(Delivery.copy_address, Subscriber.address),
            Delivery.subscriber_id,
            Delivery.state,
            Delivery.reason,
            Delivery.attempts,
            Delivery.offered_at,
            Delivery.settled_at,
            Delivery.retry_at,
            Delivery.reply_code,
            Delivery.reply_text,
        )
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .outerjoin(Subscriber, Subscriber.id == Delivery.subscriber_id)
    )


def last_run(session: Session, cadence_id: int) -> Run | None:
    """Return the cadence's last run, scheduled or not."""
    return session.scalar(select(Run).where(Run.cadence_id == cadence_id).order_by(Run.id.desc()).limit(1))
