"""X7 and X8: the database crashes, Redis dies, is emptied and stays away, while a digest goes out."""

import itertools
import os
import signal
import time
from typing import Final

import psycopg
from sqlalchemy.engine import make_url

from tests.chaos.ground import Ground
from tests.chaos.result import Result, Size, experiment
from tests.chaos.sink import ACCEPTED
from tests.chaos.stage import Stage, staged
from tests.servers.postgres import address

GROUP: Final = 256
"""Deliveries of a worker process that a crash of host or database may leave unknown, at most."""


def x7(ground: Ground, size: Size, seed: int, *, durable: bool = True) -> Result:
    """Crash PostgreSQL, again and again. Without durable commits the promise is void: the checker must see it."""
    readers, crashes = (2_500, 2) if size is Size.CI else (20_000, 8)
    with (
        experiment("X7" if durable else "X7 without durable commits", size, seed) as result,
        staged(
            ground, "postgresql", readers, sink=("--delay", "0.01"), patches=("--bells", "1", "--lease", "10")
        ) as stage,
    ):
        if not durable:
            _forget_commits(stage)
        stage.plan()
        stage.worker()
        for number in range(1, crashes + 1):
            stage.reached(((number - 1) * readers + readers // 2) // (crashes + 2))
            _keep_no_more_than_asked(ground)
            stage.reached(number * readers // (crashes + 2))
            ground.postgres.crash()
            ground.postgres.start()
        if durable:
            stage.over()
        else:  # it may never be over: what the ledger was told it does not know any more
            time.sleep(8)
        stage.judge(result, unknown=crashes * GROUP * stage.children)
        result.counts["crashes"] = crashes
    return result


def _forget_commits(stage: Stage) -> None:
    """Let a commit be told before it is kept."""
    url = stage.place.database_url
    with psycopg.connect(address(url), autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{make_url(url).database}" SET synchronous_commit = off')


def _keep_no_more_than_asked(ground: Ground) -> None:
    """Stop the process that keeps, a moment later, what nobody has waited for: a crash may always be before it."""
    with psycopg.connect(address(ground.postgres.server.maintenance), autocommit=True) as connection:
        while True:
            writer, _ = _writer(connection)
            os.kill(writer, signal.SIGSTOP)
            if _writer(connection) == (writer, "WalWriterMain"):  # at rest: it holds no lock that others wait for
                return
            os.kill(writer, signal.SIGCONT)


def _writer(connection: psycopg.Connection) -> tuple[int, str]:
    query = "SELECT pid, wait_event FROM pg_stat_activity WHERE backend_type = 'walwriter'"
    writer = connection.execute(query).fetchone()
    assert writer is not None
    return writer[0], writer[1]


def x8(ground: Ground, size: Size, seed: int) -> Result:
    """Kill Redis, empty it, let it be away for a while."""
    # Slow enough for several slices: one that hears no bell any more still sends what it had begun.
    readers, away, delay = (3_000, 6.0, "0.02") if size is Size.CI else (20_000, 30.0, "0.01")
    with (
        experiment("X8", size, seed) as result,
        # The command as it is: with more bells both children were busy, and Celery reads nothing when Redis goes.
        staged(ground, "postgresql", readers, sink=("--delay", delay)) as stage,
    ):
        stage.plan()
        worker = stage.worker()
        stage.reached(readers // 4)
        _away(ground, 0.0)
        stage.reached(readers // 2)
        ground.redis.server.flush()
        stage.reached(readers * 3 // 4)
        _away(ground, away)
        stage.over()
        stage.judge(result, unknown=0)
        result.exactly("worker_ended", worker.poll() is not None, False)
        times = [one.at for one in stage.sink.seen() if one.kind in ACCEPTED]
        longest = max(later - earlier for earlier, later in itertools.pairwise(times))
        result.within("longest_stall", longest, 30)
    return result


def _away(ground: Ground, seconds: float) -> None:
    ground.redis.crash()
    time.sleep(seconds)
    ground.redis.start()
