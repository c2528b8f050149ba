"""What the database knows about a table when it makes its plans."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from newsletter.foundation.db import Base


def rows_known(session: Session, table: type[Base]) -> int | None:
    """Return how many rows the database believes a table has; None where it has never looked."""
    if session.get_bind().dialect.name == "postgresql":
        query = text("SELECT reltuples FROM pg_class WHERE oid = CAST(:table AS regclass)")
        known = session.scalars(query, {"table": table.__tablename__}).one()
        return None if known < 0 else round(known)
    if not session.scalar(text("SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_stat1'")):
        return None
    query = text("SELECT max(CAST(stat AS integer)) FROM sqlite_stat1 WHERE tbl = :table")
    known = session.scalar(query, {"table": table.__tablename__})
    return None if known is None else int(known)
