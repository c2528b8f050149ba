"""`newsletter adopt`: take over everything from a SQLite file, when a service outgrows it."""

from pathlib import Path
from typing import Final

import click
from flask.cli import with_appcontext
from sqlalchemy import Connection, create_engine, delete, func, insert, select, text
from sqlalchemy.orm import Session

from newsletter.audience.models import Subscriber
from newsletter.cli import report
from newsletter.delivery.models import Delivery, DeliveryState
from newsletter.foundation import migrating
from newsletter.foundation.db import Base, analyse, transaction
from newsletter.foundation.errors import ConflictError
from newsletter.publication.models import Publication

_AT_ONCE: Final = 1000


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@report.as_json
@with_appcontext
def adopt(file: Path, as_json: bool) -> None:
    """Copy all rows of the SQLite FILE into this service's new, empty database. Stop web and worker first."""
    engine = create_engine(f"sqlite:///{file.absolute()}")
    try:
        with engine.connect() as old, transaction() as session:
            _refuse(old, session)
            copied = _copy(old, session.connection())
            analyse(session)
    finally:
        engine.dispose()
    report.facts(copied, as_json)


def _refuse(old: Connection, session: Session) -> None:
    """Raise ConflictError unless all of `old`, and nothing else, would be here afterwards."""
    versions = {migrating.current(one) for one in (old, session.connection())}
    if len(versions) > 1:
        raise ConflictError("The two databases have different tables. Run `newsletter db upgrade` on both first.")
    if session.scalar(select(Publication.id)) or session.scalar(select(Subscriber.id).limit(1)):
        raise ConflictError("This database is in use already. Rows are copied into a new one only.")
    if old.scalar(select(Delivery.id).where(Delivery.state == DeliveryState.SENDING).limit(1)):
        raise ConflictError(
            "A worker was killed while it sent from the file. Start the worker on it once more, stop it, and try again."
        )


def _copy(old: Connection, new: Connection) -> dict[str, int]:
    """Copy table by table, those that others refer to first; return how many rows each had."""
    tables = Base.metadata.sorted_tables
    for table in reversed(tables):
        new.execute(delete(table))  # what the migrations put there, the file has too
    copied = {}
    for table in tables:
        copied[table.name] = 0
        for rows in old.execution_options(yield_per=_AT_ONCE).execute(select(table)).mappings().partitions():
            new.execute(insert(table), [dict(row) for row in rows])
            copied[table.name] += len(rows)
        if new.dialect.name == "postgresql" and "id" in table.c:
            _count_on(new, table.name, new.scalar(select(func.max(table.c.id))) or 0)
    return copied


def _count_on(new: Connection, table: str, last: int) -> None:
    """Let the table's next id follow `last`; a table whose ids are given elsewhere has no sequence, and stays."""
    sequence = new.scalar(text("SELECT pg_get_serial_sequence(:table, 'id')"), {"table": table})
    if sequence is not None:
        new.execute(text("SELECT setval(:sequence, :next, false)"), {"sequence": sequence, "next": last + 1})
