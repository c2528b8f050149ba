"""The servers as fixtures. Each of pytest's parallel workers has servers of its own: nothing is shared."""

import contextlib
from collections.abc import Iterator
from typing import TypeVar

import pytest
from playwright.sync_api import Browser

from tests.servers import browser as chromium
from tests.servers import postfix as postfixes
from tests.servers import postgres, redis
from tests.servers.given import Missing, nothing_may_be_skipped
from tests.servers.postfix import PostfixServer
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer

T = TypeVar("T")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server, fast and careless about crashes."""
    with or_skip(postgres.running()) as server:
        yield server


@pytest.fixture(scope="session")
def durable_postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server that keeps what it has committed, for tests of just that."""
    with or_skip(postgres.running(durable=True)) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis server; whoever needs it empty calls flush()."""
    with or_skip(redis.running()) as server:
        yield server


@pytest.fixture(scope="module")
def postfix() -> Iterator[PostfixServer]:
    """A Postfix that keeps all mail in a Maildir. Whoever needs other settings starts `postfix.running(...)` itself."""
    with or_skip(postfixes.running()) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium, driven by Playwright.

    Not for the whole session: while Playwright is up its event loop counts as running, and asyncio.run() in another
    module's test would refuse.
    """
    with or_skip(chromium.running()) as running:
        yield running


@contextlib.contextmanager
def or_skip(server: contextlib.AbstractContextManager[T]) -> Iterator[T]:
    """Give what `server` gives; skip the test where it is Missing, or fail where nothing may be skipped."""
    with contextlib.ExitStack() as stack:
        try:
            started = stack.enter_context(server)
        except Missing as missing:
            (pytest.fail if nothing_may_be_skipped() else pytest.skip)(str(missing))
        yield started
