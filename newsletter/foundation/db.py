"""The database: one session per request or task, one place that commits, aware UTC times on every engine.

`transaction()` is the only way to commit. It is begun by entry points (views, commands, tasks); acts take the session
and never end it. The sending engine has short transactions of its own, begun the same way.
"""

import datetime
import enum
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    BigInteger,
    DateTime,
    Dialect,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    TypeDecorator,
    event,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection
from sqlalchemy.orm import DeclarativeBase, Session

CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
_IMMEDIATE = "newsletter_immediate"
_ENOUGH = 1000
"""Rows of an index that SQLite looks at: of all, it would for seconds, and let nobody write."""
BIG_ID = BigInteger().with_variant(Integer, "sqlite")
"""The type of ids of tables that grow with readers and articles (SQLite counts only plain INTEGER by itself)."""
E = TypeVar("E", bound=enum.StrEnum)
_INSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def only(condition: str) -> dict[str, Any]:
    """Return the arguments that make an Index hold only the rows for which `condition` (plain SQL) is true."""
    return {"postgresql_where": text(condition), "sqlite_where": text(condition)}


class UTCDateTime(TypeDecorator[datetime.datetime]):
    """Aware UTC in, aware UTC out; refuses naive datetimes (SQLite would store and return them without a word)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime.datetime | None, dialect: Dialect) -> datetime.datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive datetime {value}: pass an aware one")
        value = value.astimezone(datetime.UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime.datetime | None, dialect: Dialect) -> datetime.datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=datetime.UTC) if value.tzinfo is None else value.astimezone(datetime.UTC)


class Word(TypeDecorator[E], Generic[E]):
    """A closed set of states, stored as their words; an unknown word is an error on both ways."""

    impl = String(24)
    cache_ok = True

    def __init__(self, words: type[E]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: E | None, dialect: Dialect) -> str | None:
        return None if value is None else self.words(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> E | None:
        return None if value is None else self.words(value)


class Base(DeclarativeBase):
    """Every table's base; rooms keep their own in their models.py."""

    metadata = MetaData(naming_convention=CONVENTION)
    type_annotation_map = {datetime.datetime: UTCDateTime}  # noqa: RUF012  (SQLAlchemy's own way)


@event.listens_for(Table, "after_parent_attach")
def _never_use_an_id_twice(table: Table, _metadata: MetaData) -> None:
    """Keep SQLite from giving a deleted row's id to the next one: ids live on in the links of mails, for ever."""
    table.dialect_options["sqlite"]["autoincrement"] = True


db = SQLAlchemy(metadata=Base.metadata, session_options={"expire_on_commit": False})


@contextmanager
def transaction() -> Iterator[Session]:
    """Run the block in one transaction and commit it, or roll back and raise.

    An earlier read of this session has begun a transaction already; it is ended first, so that on SQLite the write
    lock is taken at the beginning (an upgrade in the middle fails at once, whatever the time-out). Changes made
    outside a transaction are a mistake and refused.
    """
    session = db.session()
    if session.new or session.dirty or session.deleted:
        raise RuntimeError("changed outside a transaction: put the change inside `with transaction()`")
    session.commit()
    session.connection(execution_options={_IMMEDIATE: True})
    try:
        yield session
        session.commit()
    except BaseException:
        session.rollback()
        raise


class OwnSession:
    """A session with a connection of its own, for a thread that has many short transactions by key, and no other costs.

    The connection is opened when first needed, kept, and replaced after an error. Use it in one thread only.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._session: Session | None = None

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Run the block in one transaction and commit it, or roll back and raise."""
        if self._session is None:
            self._session = Session(self._connect(), expire_on_commit=False)
        session = self._session
        try:
            yield session
            session.commit()
        except BaseException:
            self.close()
            raise
        session.expunge_all()

    def _connect(self) -> Connection:
        connection = self._engine.connect().execution_options(**{_IMMEDIATE: True})
        if connection.dialect.name == "postgresql":
            # Each statement goes by a key. Statistics that are a minute old would say that hardly any row is in the
            # state that all have come to by now, and make the planner read the table for each.
            connection.exec_driver_sql("SET enable_seqscan = off")
            connection.commit()
        return connection

    def close(self) -> None:
        """Roll back what is open and let the connection go, whatever state it is in."""
        session, self._session = self._session, None
        if session is not None:
            connection = session.get_bind()
            assert isinstance(connection, Connection)
            connection.invalidate()
            session.close()
            connection.close()

    def __del__(self) -> None:
        """Leave no connection open that nobody can reach any more."""
        self.close()


def lock_rows(session: Session, statement: Any) -> Any:
    """Return `statement` with FOR UPDATE where the engine has it; SQLite's writers are serial anyway."""
    return statement.with_for_update() if session.get_bind().dialect.name == "postgresql" else statement


def insert_new(session: Session, table: type[Base]) -> Any:
    """Return an INSERT into `table` that passes over rows that any unique key says are there already."""
    return _INSERTS[session.get_bind().dialect.name](table).on_conflict_do_nothing()


def analyse(session: Session, *tables: type[Base]) -> None:
    """Have the database look how the rows of `tables` (of all, if none is given) are spread, in this transaction.

    Wherever much was written at once: PostgreSQL takes a table that has just been filled for an empty one, until it
    looks by itself minutes later, and joins a hundred thousand readers by loops.
    """
    if session.get_bind().dialect.name == "sqlite":
        session.execute(text(f"PRAGMA analysis_limit = {_ENOUGH}"))
    for name in [table.__tablename__ for table in tables] or [""]:
        session.execute(text(f"ANALYZE {name}"))


def engine_options(url: str) -> dict[str, Any]:
    """Return the pool and connection options for a database URL."""
    quiet = {"hide_parameters": True}  # an error's trace goes into the logs, and values are people's names
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": 15}, **quiet}
    options = "-c idle_in_transaction_session_timeout=60000 -c lock_timeout=30000"
    return {"pool_pre_ping": True, "connect_args": {"options": options, "connect_timeout": 10}, **quiet}


@event.listens_for(Engine, "connect")
def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """Leave BEGIN to us, and make SQLite durable and concurrent: a commit that returned survives a power cut."""
    if isinstance(connection, sqlite3.Connection):
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=15000"):
            connection.execute(f"PRAGMA {pragma}")


@event.listens_for(Engine, "begin")
def _begin_sqlite(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        immediate = connection.get_execution_options().get(_IMMEDIATE)
        connection.execute(text("BEGIN IMMEDIATE" if immediate else "BEGIN"))
