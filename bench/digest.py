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
from bench.measuring import Effort, by_turns
from bench.places import CONNECTIONS
from bench.sending import Station, station
from bench.sinks import Sink
from newsletter.foundation.ports import LOOPBACK
from tests.servers.given import Missing

ROOT: Final = Path(__file__).resolve().parents[1]
AT_LIMIT: Final = Goal("≥", 0.9, of_peer=True)
AT_SOURCE: Final = Goal("≥", 1.0, of_peer=True)
EMBEDDED: Final = Goal("≥", 0.5, of_peer=True)
SIGNED: Final = Goal("≥", 0.8, of_peer=True)
CPU: Final = Goal("≤", 80)


@dataclass(frozen=True)
class Pushed:
    """What one turn came to."""

    per_second: float
    cpu: float = 0.0
    """Processor seconds per message, of the process that pushes."""


def on_postgresql(effort: Effort) -> Iterator[Figure]:
    """Measure digests with a ledger that keeps what it has committed."""
    with sinks.running() as sink, station("postgresql", sink.url, effort.readers) as ours:
        count, size = effort.readers, ours.size()
        turns: list[Callable[[], Pushed]] = [lambda: _digest(ours), lambda: _limit(sink, count, size)]
        if source := sinks.program("smtp-source"):
            turns.append(lambda: _source(source, sink, count, size))
        results = by_turns(effort.rounds, *turns)
    speeds = [median(one.per_second for one in turn) for turn in results]
    cpu = [median(one.cpu for one in turn) * 1e6 for turn in results]
    name, mail = "digest-postgresql", f"{size / 1000:.0f} kB into {sink.name}"
    yield Figure(f"{name}:limit", speeds[0], "mails/s", f"no ledger, fixed {mail}", speeds[1], AT_LIMIT)
    if source:
        yield Figure(f"{name}:smtp-source", speeds[0], "mails/s", f"smtp-source, {mail}", speeds[2], AT_SOURCE)
    yield Figure(f"{name}:cpu", cpu[0], "µs/mail", "no ledger, fixed", cpu[1], CPU)


def on_sqlite(effort: Effort) -> Iterator[Figure]:
    """Measure digests embedded, the ledger being a file, beside the same with PostgreSQL."""
    with (
        sinks.running() as sink,
        station("postgresql", sink.url, effort.readers) as peer,
        station("sqlite", sink.url, effort.readers) as ours,
    ):
        results = by_turns(effort.few_rounds, lambda: _digest(ours), lambda: _digest(peer))
    value, beside = (median(one.per_second for one in turn) for turn in results)
    yield Figure("digest-sqlite", value, "mails/s", f"PostgreSQL, {effort.readers:,} readers", beside, EMBEDDED)


def signed(effort: Effort) -> Iterator[Figure]:
    """Measure digests signed with RSA-2048, beside how often one core can sign at all."""
    openssl = sinks.program("openssl")
    if openssl is None:
        raise Missing("No openssl: apt-get install openssl")
    with sinks.running() as sink, station("postgresql", sink.url, effort.few, signed=True) as ours:
        results = by_turns(effort.few_rounds, lambda: _digest(ours), lambda: _signatures(openssl, effort.seconds))
    value, beside = (median(one.per_second for one in turn) for turn in results)
    yield Figure("digest-signed", value, "mails/s", "openssl speed rsa2048, one core", beside, SIGNED)


def _digest(ours: Station) -> Pushed:
    sent = ours.digest()
    return Pushed(sent.rate, sent.cpu / sent.readers)


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


def _signatures(openssl: str, seconds: float) -> Pushed:
    """Ask for the line `+F2:…:2048:signatures per second:verifications per second`."""
    told = _run([openssl, "speed", "-mr", "-seconds", f"{max(1, round(seconds))}", "rsa2048"])
    (line,) = (line for line in told.splitlines() if line.startswith("+F2:"))
    return Pushed(float(line.split(":")[3]))


def _run(command: list[str]) -> str:
    done = subprocess.run(
        command, cwd=ROOT, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=300
    )
    return done.stdout
