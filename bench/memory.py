"""A worker's memory with few and with many readers, and the time that planning for the many takes."""

import contextlib
import statistics
import time
from collections.abc import Iterator
from typing import Final

from sqlalchemy import text

from bench import sinks
from bench.figures import Figure, Goal
from bench.measuring import Effort, by_turns, peak_megabytes
from bench.places import CATEGORIES, NAMES, Database, application, installation
from bench.sending import order, publish, send
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import transaction
from tests.journeys.processes import Installation, eventually
from tests.servers.given import Missing

_FEW: Final = 1000
_STEP: Final = 25_000
_FLAT: Final = Goal("≤", 150)
_PLANNING: Final = 15 / 1_000_000
"""Seconds that a delivery may take to be planned: a million in fifteen."""


class _Undone(Exception):  # noqa: N818  (no error: it takes back what was only tried)
    """Ends a transaction without its effects."""


def measure(effort: Effort) -> Iterator[Figure]:
    """Measure with PostgreSQL where it can be had, else with SQLite."""
    try:
        yield from _measure("postgresql", effort)
    except Missing:
        yield from _measure("sqlite", effort)


def _measure(database: Database, effort: Effort) -> Iterator[Figure]:
    with sinks.running() as sink, installation(database, sink.url) as place:
        _add_readers(place, _FEW)
        idle, few = _peaks(place)
        _add_readers(place, effort.many - _FEW)
        with application(place):
            publish()
            tries = by_turns(effort.rounds, _plan, lambda: _insert(effort.many))
        planned, bare = map(statistics.median, tries)
        _, most = _peaks(place)
    yield Figure(f"memory:{_FEW}", few, "MB", f"idle worker, {NAMES[database]}", idle, _FLAT)
    yield Figure(f"memory:{effort.many}", most, "MB", f"sending to {_FEW:,}", few, _FLAT)
    goal = Goal("≤", _PLANNING * effort.many)
    yield Figure(f"memory:planning-{effort.many}", planned, "s", "bare INSERT … SELECT", bare, goal)


def _add_readers(place: Installation, count: int) -> None:
    """Add readers of whom about `count` take the digest: one in five takes another."""
    left = count * 5 // 4
    while left > 0:  # in steps, each within a command's patience
        step = min(left, _STEP)
        place.command("seed", "--readers", str(step), "--categories", str(CATEGORIES), "--articles", "0")
        left -= step


def _peaks(place: Installation) -> tuple[float, float]:
    """Send a digest with a fresh worker; return its peak memory in MB before and after."""
    worker = place.start("worker")
    journals = place.folder / "var" / "journals"
    eventually(lambda: list(journals.glob("*.journal")))
    idle = peak_megabytes(worker.pid)
    with application(place):
        publish()
        send()
    most = peak_megabytes(worker.pid)
    worker.terminate()
    worker.wait(15)
    return idle, most


def _plan() -> float:
    """Return the seconds that ordering a digest takes, all of it but the commit, and take it back."""
    begun = time.perf_counter()
    with contextlib.suppress(_Undone), transaction() as session:
        order(session, utc_now())
        taken = time.perf_counter() - begun
        raise _Undone
    return taken


def _insert(count: int) -> float:
    """Return the seconds that the database takes to write as many rows with one key, and take them back."""
    with contextlib.suppress(_Undone), transaction() as session:
        session.execute(text("CREATE TABLE bare (id bigint PRIMARY KEY, state varchar(24))"))
        begun = time.perf_counter()
        session.execute(text("INSERT INTO bare SELECT id, 'planned' FROM subscribers LIMIT :count"), {"count": count})
        taken = time.perf_counter() - begun
        raise _Undone
    return taken
