"""Digest messages per second: the whole path, ledger and all, beside two clients that only push bytes."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from bench import sinks
from bench.figures import Figure, Goal
from bench.measuring import Effort, by_turns, cpu_seconds
from bench.places import CATEGORIES, CONNECTIONS, Database, application, installation
from bench.sending import publish, send, usual_size
from bench.sinks import Sink
from newsletter.foundation.ports import LOOPBACK

ROOT: Final = Path(__file__).resolve().parents[1]
AT_LIMIT: Final = Goal("≥", 0.9, of_peer=True)
AT_SOURCE: Final = Goal("≥", 1.0, of_peer=True)


@dataclass(frozen=True)
class Pushed:
    """What one turn came to."""

    per_second: float
    cpu: float = 0.0
    """Processor seconds per message, of the process that pushes."""


def measure(database: Database, effort: Effort) -> Iterator[Figure]:
    """Measure digests with the ledger on one database."""
    with sinks.running() as sink, installation(database, sink.url) as place:
        place.command("seed", "--readers", str(effort.readers), "--categories", str(CATEGORIES), "--articles", "0")
        worker = place.start("worker")
        with application(place):
            publish()
            count, size = effort.readers, usual_size()
            turns: list[Callable[[], Pushed]] = [lambda: _digest(worker.pid), lambda: _limit(sink, count, size)]
            if source := sinks.program("smtp-source"):
                turns.append(lambda: _source(source, sink, count, size))
            results = by_turns(effort.rounds, *turns)
    speeds = [median(one.per_second for one in turn) for turn in results]
    cpu = [median(one.cpu for one in turn) * 1e6 for turn in results]
    name, mail = f"digest-{database}", f"{size / 1000:.0f} kB into {sink.name}"
    yield Figure(f"{name}:limit", speeds[0], "mails/s", f"no ledger, fixed {mail}", speeds[1], AT_LIMIT)
    if source:
        yield Figure(f"{name}:smtp-source", speeds[0], "mails/s", f"smtp-source, {mail}", speeds[2], AT_SOURCE)
    yield Figure(f"{name}:cpu", cpu[0], "µs/mail", "no ledger, fixed", cpu[1], Goal("≤", 80))


def _digest(worker: int) -> Pushed:
    before = cpu_seconds(worker)
    sent = send()
    used = cpu_seconds(worker) - before
    publish()
    return Pushed(sent.readers / sent.seconds, used / sent.readers)


def _limit(sink: Sink, count: int, size: int) -> Pushed:
    words = map(str, (sink.port, count, CONNECTIONS, size))
    took = json.loads(_run([sys.executable, "-m", "bench.limit", *words]))
    assert took["accepted"] == count
    return Pushed(count / took["seconds"], took["cpu"] / count)


def _source(program: str, sink: Sink, count: int, size: int) -> Pushed:
    begun = time.perf_counter()
    sessions, length, number = str(CONNECTIONS), str(size), str(count)
    _run([program, "-d", "-s", sessions, "-l", length, "-m", number, f"{LOOPBACK}:{sink.port}"])
    return Pushed(count / (time.perf_counter() - begun))


def _run(command: list[str]) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, timeout=120).stdout
