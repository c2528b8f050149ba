"""Planning: a frozen audience becomes deliveries and chunks, set-based, whatever its size."""

import datetime
import secrets
from typing import Any, Final

from sqlalchemy import ColumnElement, case, exists, func, insert, literal, select, update
from sqlalchemy.orm import Session

from newsletter.audience.models import Confirmation
from newsletter.delivery.models import (
    CHUNKS,
    Chunk,
    ChunkState,
    Delivery,
    DeliveryState,
    Mailing,
    MailingKind,
    MailingState,
)
from newsletter.digests.models import Run
from newsletter.digests.readers import readers_of
from newsletter.foundation.db import UTCDateTime, analyse

CHUNK: Final = 1000
"""Deliveries of a chunk, at most."""
_LEAST: Final = 250
_CHUNKS: Final = 32
"""How many a mailing has at least, if those are not too small: so many workers get about equal shares of it."""
_MANY: Final = 10_000
"""Deliveries of a run after which the database is to know how many there are."""
GIVE_UP: Final = {
    MailingKind.RUN: datetime.timedelta(hours=20),
    MailingKind.CONFIRMATIONS: datetime.timedelta(hours=47),
}
"""How long temporary errors are retried: until the next digest is near; until a confirmation link is near its end."""


def plan_run(session: Session, run: Run, now: datetime.datetime) -> int:
    """Make the run's mailing with one delivery for each of its readers. Returns how many readers it has.

    Colleagues who always get a copy are added only where readers get something.
    """
    mailing = _mailing(session, MailingKind.RUN, now, run_id=run.id)
    readers = readers_of(session, run).subquery()
    place = func.row_number().over(order_by=readers.c.subscriber_id) - 1
    number, least = func.count().over(), min(_LEAST, CHUNK)
    size = case((number < least * _CHUNKS, least), (number > CHUNK * _CHUNKS, CHUNK), else_=number // _CHUNKS)
    added = session.connection().execute(
        insert(Delivery).from_select(
            ["mailing_id", "subscriber_id", "after_number", "chunk_id", "state", "attempts"],
            select(
                literal(mailing.id),
                readers.c.subscriber_id,
                readers.c.after_number,
                literal(mailing.id * CHUNKS) + place // size,
                literal(DeliveryState.PLANNED.value),
                literal(0),
            ).order_by(readers.c.subscriber_id),
            include_defaults=False,
        )
    )
    of_mailing = Delivery.chunk_id.between(mailing.id * CHUNKS, mailing.id * CHUNKS + CHUNKS - 1)
    count = added.rowcount
    if count < 0:  # Python's sqlite3 does not tell how many rows an INSERT with a WITH clause has added
        count = session.scalars(select(func.count()).where(of_mailing)).one()
    last = session.scalar(select(func.max(Delivery.chunk_id)).where(of_mailing))
    if last is None:
        session.delete(mailing)
        session.flush()
        return 0
    copies = sorted(set(run.cadence.copies))
    if copies:
        session.execute(
            insert(Delivery),
            [
                {
                    "mailing_id": mailing.id,
                    "copy_address": address,
                    "chunk_id": last,
                    "after_number": run.after_number,
                    "state": DeliveryState.PLANNED,
                    "attempts": 0,
                }
                for address in copies
            ],
        )
    _add_chunks(session, mailing.id, 0, last - mailing.id * CHUNKS, now, bulk=True)
    mailing.planned = count + len(copies)
    session.flush()
    if count >= _MANY:
        analyse(session, Delivery, Chunk)
    return count


ANYTHING_TO_CONFIRM: Final = exists().where(Confirmation.planned_at.is_(None))
"""Whether a confirmation request has no mail yet."""


def plan_confirmations(session: Session, now: datetime.datetime, limit: int = 500) -> int:
    """Put confirmation requests that have no mail yet into one mailing. Returns how many."""
    query = select(Confirmation).where(Confirmation.planned_at.is_(None)).order_by(Confirmation.id).limit(limit)
    if session.get_bind().dialect.name == "postgresql":
        query = query.with_for_update(skip_locked=True)
    # One mail to a subscriber in a mailing; who asked twice gets the second in the next.
    waiting = list({one.subscriber_id: one for one in reversed(session.scalars(query).all())}.values())
    if not waiting:
        return 0
    mailing = _mailing(session, MailingKind.CONFIRMATIONS, now)
    _add_chunks(session, mailing.id, 0, 0, now, bulk=False)
    session.execute(
        insert(Delivery),
        [
            {
                "mailing_id": mailing.id,
                "subscriber_id": one.subscriber_id,
                "confirmation_id": one.id,
                "chunk_id": mailing.id * CHUNKS,
                "after_number": 0,
                "state": DeliveryState.PLANNED,
                "attempts": 0,
            }
            for one in waiting
        ],
    )
    for one in waiting:
        one.planned_at = now
    mailing.planned = len(waiting)
    session.flush()
    return len(waiting)


def add_chunk(session: Session, mailing_id: int, now: datetime.datetime, *, bulk: bool) -> int:
    """Add a chunk to a mailing that was planned before, for deliveries that are planned again. Returns its id."""
    # The mailing's row orders those who add at the same time.
    session.execute(update(Mailing).where(Mailing.id == mailing_id).values(state=Mailing.state))
    last = session.scalar(select(func.max(Chunk.id)).where(Chunk.mailing_id == mailing_id))
    assert last is not None
    number = last + 1 - mailing_id * CHUNKS
    _add_chunks(session, mailing_id, number, number, now, bulk=bulk)
    return last + 1


def _mailing(session: Session, kind: MailingKind, now: datetime.datetime, run_id: int | None = None) -> Mailing:
    mailing = Mailing(
        kind=kind,
        run_id=run_id,
        state=MailingState.SENDING,
        stamp=secrets.token_hex(8),
        created_at=now,
        give_up_at=now + GIVE_UP[kind],
    )
    session.add(mailing)
    session.flush()
    return mailing


def _add_chunks(
    session: Session, mailing_id: int, first: int, last: int, now: datetime.datetime, *, bulk: bool
) -> None:
    numbers = select(literal(first).label("number")).cte("numbers", recursive=True)
    numbers = numbers.union_all(select(numbers.c.number + 1).where(numbers.c.number < last))
    values: dict[str, ColumnElement[Any]] = {
        "id": literal(mailing_id * CHUNKS) + numbers.c.number,
        "mailing_id": literal(mailing_id),
        "bulk": literal(bulk),
        "state": literal(ChunkState.READY.value),
        "not_before": literal(now, UTCDateTime()),
        "owner": literal(""),
        "fence": literal(0),
    }
    session.execute(insert(Chunk).from_select(list(values), select(*list(values.values())), include_defaults=False))
