"""What all experiments stand on: a durable PostgreSQL and a Redis that may be crashed, and empty databases on them."""

import contextlib
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from newsletter.app import create_app
from newsletter.foundation import migrating
from newsletter.foundation.db import db
from tests.conftest import make_settings
from tests.servers import postgres, redis
from tests.servers.postgres import PostgresServer
from tests.servers.process import serving
from tests.servers.redis import RedisServer


class Answering(Protocol):
    """Something that says whether it is there."""

    def answers(self) -> bool: ...


S = TypeVar("S", bound=Answering)


class Crashable(Generic[S]):
    """A server of our own that can be crashed and started again where it was."""

    def __init__(self, server: S, argv: Sequence[str], folder: Path, ending: signal.Signals) -> None:
        self.server = server
        self._serving: Callable[[], contextlib.AbstractContextManager[object]] = lambda: serving(
            argv, folder, server.answers, ending
        )
        self._running = contextlib.ExitStack()

    def start(self) -> None:
        """Run until crashed; return when it answers."""
        self._running.enter_context(self._serving())

    def crash(self) -> None:
        """End it at once, whatever it is doing."""
        self._running.close()


@dataclass
class Ground:
    """Servers that are started when first asked for, shared by all experiments of a process. Raises Missing."""

    folder: Path
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @cached_property
    def postgres(self) -> Crashable[PostgresServer]:
        """A PostgreSQL that keeps what it has committed."""
        scratch = Path(tempfile.mkdtemp(prefix="pg-"))
        self._stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        server, argv = postgres.made(scratch, ("-c", "max_connections=60"))
        return self._run(Crashable(server, argv, scratch, postgres.CRASH))

    @cached_property
    def redis(self) -> Crashable[RedisServer]:
        """A Redis that keeps nothing."""
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="redis-")))
        server, argv = redis.made(folder)
        return self._run(Crashable(server, argv, folder, signal.SIGKILL))

    def _run(self, server: Crashable[S]) -> Crashable[S]:
        server.start()
        self._stack.callback(server.crash)
        return server

    @cached_property
    def sqlite_template(self) -> Path:
        """A SQLite file with all tables."""
        _migrate(self.folder / "template", "")
        return self.folder / "template" / "newsletter.db"

    @cached_property
    def postgres_template(self) -> str:
        """The URL of a database with all tables, to be copied."""
        url = self.postgres.server.create_database()
        _migrate(self.folder / "postgres", url)
        return url

    @contextlib.contextmanager
    def database(self, kind: str, folder: Path) -> Iterator[str]:
        """Give the URL of an empty database with all tables; of SQLite it is empty, and the file lies in `folder`."""
        if kind == "sqlite":
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.sqlite_template, folder / "newsletter.db")
            yield ""
        else:
            template = self.postgres_template
            with self.postgres.server.database(template) as url:
                yield url


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Ground]:
    """Give the ground; its servers end with the block."""
    ground = Ground(folder)
    with ground._stack:
        yield ground


def _migrate(folder: Path, url: str) -> None:
    app = create_app(make_settings(folder, database_url=url))
    with app.app_context():
        migrating.upgrade()
        db.session.remove()
        db.engine.dispose()
