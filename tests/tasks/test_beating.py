"""A worker with Redis keeps its schedule, whatever becomes of the process that it is in."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Databases
from tests.journeys.processes import Installation, eventually
from tests.servers.redis import RedisServer


@pytest.mark.redis
@pytest.mark.postgres
def test_a_schedule_whose_process_was_killed_goes_on_in_another_and_ends_with_the_worker(
    tmp_path: Path, postgres_databases: Databases, redis_server: RedisServer
) -> None:
    redis_server.flush()
    with (
        postgres_databases.fresh() as url,
        Installation(
            tmp_path, "smtp://127.0.0.1:1", url, redis_server.url, more={"LOG_FORMAT": "json", "LOG_LEVEL": "INFO"}
        ) as place,
    ):
        worker = place.start("worker", "--concurrency", "1")
        (first,) = eventually(lambda: _schedules(place))
        os.kill(first, signal.SIGKILL)
        _, second = eventually(lambda: len(_schedules(place)) > 1 and _schedules(place))
        eventually(lambda: _rung(place, "confirmations", after=second))
        assert worker.poll() is None
        worker.terminate()
        worker.wait(30)
        assert not _runs(second)


def _runs(pid: int) -> bool:
    """Whether there is such a process, and it is more than a dead one that nobody has asked after."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def _schedules(place: Installation) -> list[int]:
    """The ids of the processes that the schedule has been in."""
    return [line["pid"] for line in _lines(place) if line["message"] == "schedule"]


def _rung(place: Installation, name: str, after: int) -> bool:
    """Whether the bell `name` was rung after the schedule began in process `after`."""
    words = [str(line["pid"]) if line["message"] == "schedule" else line["message"] for line in _lines(place)]
    return any(f"newsletter.{name}" in word for word in words[words.index(str(after)) :])


def _lines(place: Installation) -> list[dict[str, Any]]:
    return [json.loads(line) for line in place.logs().splitlines() if line.startswith("{")]
