"""A PostgreSQL server for tests, and databases on it: TEST_DATABASE_URL's, or one of our own that lives in a folder."""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL, make_url

from tests.servers.binaries import prepared
from tests.servers.given import Missing, given
from tests.servers.process import serving

CARELESS = ("-F", "-c", "full_page_writes=off", "-c", "synchronous_commit=off")
"""Fast and unsafe: never where the promise about crashes is what is tested."""
MEMORY = Path("/dev/shm")
_ROOM = 2 * 2**30
"""Bytes that must be free there; a container often has 64 MB."""
CRASH = signal.SIGQUIT
"""Ends the server at once, as if the power went: it recovers when it is started again."""


def address(url: URL | str) -> str:
    """Return a database's URL as psycopg itself understands it, without SQLAlchemy's name of the driver."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


@dataclass(frozen=True)
class PostgresServer:
    """A server that we may make databases on."""

    maintenance: URL
    """A database to be connected to while others are made and dropped."""

    def create_database(self, template: str | None = None) -> str:
        """Make a database, empty or as a copy of the one at the URL `template`, and return its URL.

        Nobody may be connected to the template: dispose of the engine that filled it.
        """
        name = f"test_{secrets.token_hex(8)}"
        source = make_url(template).database if template else "template1"
        self._run(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(source or "")))
        return self.maintenance.set(database=name).render_as_string(hide_password=False)

    def drop_database(self, url: str) -> None:
        """Drop the database at `url`, whoever is connected to it."""
        name = make_url(url).database or ""
        self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    @contextlib.contextmanager
    def database(self, template: str | None = None) -> Iterator[str]:
        """Give the URL of a database that is there until the block ends."""
        url = self.create_database(template)
        try:
            yield url
        finally:
            self.drop_database(url)

    def answers(self) -> bool:
        """Say whether the server takes connections."""
        try:
            self._run(sql.SQL("SELECT 1"))
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, statement: sql.SQL | sql.Composed) -> None:
        with psycopg.connect(address(self.maintenance), autocommit=True, connect_timeout=5) as connection:
            connection.execute(statement)


@contextlib.contextmanager
def running(durable: bool = False) -> Iterator[PostgresServer]:
    """Give a server until the block ends; `durable` keeps what it has committed through a crash. Raises Missing."""
    if url := given("TEST_DATABASE_URL"):
        server = PostgresServer(make_url(url).set(drivername="postgresql+psycopg"))
        if not server.answers():
            raise Missing("The server of TEST_DATABASE_URL does not take connections")
        yield server
        return
    # Short, for a socket's path may have 107 bytes; not under pytest's own folder, which other users cannot enter.
    scratch = Path(tempfile.mkdtemp(prefix="pg-", dir=None if durable else _in_memory()))
    try:
        server, argv = made(scratch, () if durable else CARELESS)
        with serving(argv, scratch, server.answers, CRASH):
            yield server
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _in_memory() -> Path | None:
    """Return a folder in memory, where there is one: a copied database is 400 files, and a disk takes long for them."""
    with contextlib.suppress(OSError):
        if shutil.disk_usage(MEMORY).free > _ROOM and os.access(MEMORY, os.W_OK | os.X_OK):
            return MEMORY
    return None


def made(scratch: Path, flags: tuple[str, ...] = ()) -> tuple[PostgresServer, list[str]]:
    """Make a server's files in `scratch`; return it, and the command that runs it. Raises Missing."""
    programs, before = prepared(scratch)
    data = scratch / "data"
    made = subprocess.run(
        [*before, programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"],
        cwd=scratch,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise Missing(f"initdb failed: {' '.join(made.stderr.split()[-40:])}")
    server = PostgresServer(
        URL.create("postgresql+psycopg", "postgres", database="postgres", query={"host": str(scratch)})
    )
    # A socket in our folder alone: no port to collide on, and nobody else on the machine can connect.
    argv = [*before, str(programs / "postgres"), "-D", str(data), "-k", str(scratch), "-c", "listen_addresses=", *flags]
    return server, argv
