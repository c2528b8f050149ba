"""Many readers in little time: some are made by `newsletter seed`, the rest copied from them by the database."""

from typing import Any, Final

from sqlalchemy import String, and_, func, insert, literal, select, text
from sqlalchemy.orm import Session

from bench.places import CATEGORIES, application
from newsletter.audience.models import Subscriber, Subscription
from newsletter.foundation.db import db, transaction
from tests.journeys.processes import Installation

_SEEDED: Final = 5_000
_SUPERUSER: Final = text("SELECT usesuper FROM pg_user WHERE usename = current_user")


def fill(place: Installation, count: int) -> None:
    """Add readers until about `count` take the digest: one in five of those that are generated takes another."""
    count = count * 5 // 4
    with application(place):
        with transaction() as session:
            there = session.scalar(select(func.max(Subscriber.id))) or 0
        if there < _SEEDED:
            more = min(count, _SEEDED) - there
            place.command("seed", "--readers", str(more), "--categories", str(CATEGORIES), "--articles", "0")
        if count > max(there, _SEEDED):
            with transaction() as session:
                copy(session, max(there, _SEEDED), count)
            tidy()


def tidy() -> None:
    """Do what the database does by itself when it has time: so much at once it has never seen in life."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE" if db.engine.dialect.name == "postgresql" else "ANALYZE"))


def copy(session: Session, there: int, count: int) -> None:
    """Copy the seeded readers and what they take until there are `count` instead of `there`."""
    postgresql = session.get_bind().dialect.name == "postgresql"
    if postgresql and session.scalar(_SUPERUSER):
        # What is copied refers to what is copied beside it: to look each of it up would take most of the time.
        session.execute(text("SET LOCAL session_replication_role = replica"))
    turns = select(literal(there // _SEEDED).label("number")).cte("turns", recursive=True)
    turns = turns.union_all(select(turns.c.number + 1).where(turns.c.number < count // _SEEDED))
    for model, owner in ((Subscriber, "id"), (Subscription, "subscriber_id")):
        table = model.__table__
        reader = table.c[owner] + turns.c.number * _SEEDED
        number = reader.cast(String)
        own: dict[str, Any] = {owner: reader}
        if model is Subscriber:
            address = literal("reader-") + number + "@readers.example"
            hashed = func.md5(address) if postgresql else func.hex(func.randomblob(16))
            own |= {"address": address, "folded": address, "address_hash": hashed, "name": literal("Reader ") + number}
        columns = [name for name in table.c.keys() if name != "id" or name == owner]  # noqa: SIM118  (its items are columns)
        rows = (
            select(*(own.get(name, table.c[name]) for name in columns))
            .join_from(table, turns, and_(table.c[owner] <= _SEEDED, reader > there, reader <= count))
            .order_by(reader)
        )
        session.execute(insert(model).from_select(columns, rows, include_defaults=False))
