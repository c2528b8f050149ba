"""Ringing: all free processes hear of a digest, by one bell at a time; nobody waits for a broker that is away."""

import subprocess
import sys
from pathlib import Path

import pytest
import redis
from celery import Celery
from sqlalchemy import func, select

from newsletter.app import create_app
from newsletter.delivery.models import Chunk
from newsletter.foundation.db import db
from newsletter.foundation.queue import Queue
from newsletter.tasks import ringing
from tests.conftest import Databases, make_settings
from tests.delivery import world
from tests.delivery.sink import Sink
from tests.journeys.processes import Installation, eventually
from tests.servers.redis import RedisServer

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
from pathlib import Path

from kombu.utils import functional

from newsletter.app import create_app
from newsletter.tasks import ringing
from tests.conftest import make_settings

functional.sleep = lambda seconds: sys.exit(f"it waits {seconds} s before it tries again")
app = create_app(make_settings(Path(sys.argv[1]), redis_url=sys.argv[2], database_url="postgresql://127.0.0.1:1/none"))
with app.app_context():
    print(*(ringing.ring(task) for task in (ringing.SEND, ringing.CONFIRM, ringing.SEND)))
"""


def ring(folder: Path, redis_url: str) -> list[str]:
    """Ring for bulk, for confirmations, and for bulk again; return what `ring` told of each."""
    words = [sys.executable, "-c", PROGRAM, str(folder), redis_url]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_bell_that_cannot_be_rung_is_given_up_at_once(tmp_path: Path) -> None:
    assert ring(tmp_path, "redis://127.0.0.1:1/0") == ["False"] * 3


@pytest.mark.redis
def test_a_bell_that_waits_is_not_rung_again(tmp_path: Path, redis_server: RedisServer) -> None:
    redis_server.flush()
    with redis.Redis.from_url(redis_server.url) as client:
        for _ in range(2):
            assert ring(tmp_path, redis_server.url) == ["True"] * 3
            assert [client.llen(name.value) for name in (Queue.BULK, Queue.CONFIRMATIONS)] == [1, 1]


@pytest.mark.redis
@pytest.mark.postgres
def test_one_bell_calls_all_processes_that_are_free(
    tmp_path: Path, postgres_databases: Databases, redis_server: RedisServer
) -> None:
    redis_server.flush()
    with (
        postgres_databases.fresh() as url,
        Sink(delay=0.2) as sink,
        Installation(
            tmp_path, f"smtp://127.0.0.1:{sink.port}", url, redis_server.url, more={"LOG_LEVEL": "INFO"}
        ) as place,
        create_app(make_settings(tmp_path / "ours", database_url=url)).app_context(),
    ):
        world.build(3_000)
        place.start("worker", "--concurrency", "3", "--no-beat")
        eventually(lambda: " ready." in place.logs())
        world.start()
        with Celery(broker=redis_server.url) as bells:
            bells.send_task(ringing.SEND, queue=Queue.BULK.value)
        eventually(lambda: _owners() == 3)
        db.engine.dispose()


def _owners() -> int:
    """How many processes hold chunks."""
    number = db.session.scalars(select(func.count(Chunk.owner.distinct())).where(Chunk.owner != "")).one()
    db.session.rollback()
    return number
