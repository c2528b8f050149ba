"""kill -9 of the worker in the middle of a digest: nobody is lost, nobody gets it twice, the rest goes on."""

import contextlib
import functools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.sink import Sink
from tests.journeys.processes import Installation, eventually

READERS = 6500
"""Of whom some four in five take the daily digest: it has over 5,000 readers."""
CONNECTIONS = 5


@pytest.fixture(params=["embedded", pytest.param("scaled out", marks=[pytest.mark.postgres, pytest.mark.redis])])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Installation, Sink]]:
    """Both ways to run: SQLite with one worker process; PostgreSQL and Redis with two Celery children."""
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(Sink())
        database_url = redis_url = ""
        if request.param == "scaled out":
            database_url = stack.enter_context(request.getfixturevalue("postgres_databases").fresh())
            redis = request.getfixturevalue("redis_server")
            redis.flush()
            redis_url = redis.url
        place = Installation(tmp_path, sink.url, database_url, redis_url, more={"SMTP_CONNECTIONS": str(CONNECTIONS)})
        yield stack.enter_context(place), sink


def test_a_worker_killed_in_the_middle_loses_nobody_and_doubles_nobody(installation: tuple[Installation, Sink]) -> None:
    place, sink = installation
    place.prepare()
    place.command("seed", "--readers", str(READERS), "--categories", "1", "--articles", "5")
    run = place.report("digests", "send", "daily", "--yes")
    assert run["readers"] > 5000
    worker = place.start("worker")
    kills = 3
    for kill in range(1, kills + 1):
        enough = kill * run["readers"] // (kills + 2)
        eventually(functools.partial(lambda number: len(sink.messages) >= number, enough))
        place.kill(worker)
        worker = place.start("worker")
    counts = eventually(lambda: finished(place, run["run"]), every=1.0)
    time.sleep(0.5)  # whatever would still come a second time
    deliveries = counts["deliveries"]
    assert sum(deliveries.values()) == run["readers"]
    assert deliveries["accepted"] + deliveries["unknown"] == run["readers"], deliveries
    processes = 1 if not place.redis_url else 2
    assert deliveries["unknown"] <= kills * processes * CONNECTIONS
    assert len(set(sink.recipients)) == len(sink.recipients), "nobody twice"
    assert run["readers"] - len(sink.recipients) <= deliveries["unknown"], "nobody lost who is not shown as unknown"
    states = {row["address"]: row["state"] for row in place.report("deliveries", "list", "--run", str(run["run"]))}
    missing = {address for address in states if address not in set(sink.recipients)}
    assert all(states[address] == "unknown" for address in missing), "accepted means that it arrived"


def finished(place: Installation, run_id: int) -> Any:
    """Return the run's report once it is sent."""
    report = place.report("runs", "show", str(run_id))
    return report if report["state"] == "sent" else None
