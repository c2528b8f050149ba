"""A million readers beside ten thousand: planning them, the pace of sending, and the worker's memory."""

import contextlib
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text

from bench import readers, sinks
from bench.figures import Figure, Goal
from bench.measuring import Effort, by_turns, peak_megabytes
from bench.places import application, installation
from bench.sending import Station, order, publish, start_worker
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import transaction
from tests.journeys.processes import Installation

_FLAT: Final = Goal("≤", 150)
_PLANNING: Final = 15 / 1_000_000
"""Seconds that a delivery may take to be planned: a million in fifteen."""
_AS_FAST: Final = Goal("≥", 0.9, of_peer=True)


class _Undone(Exception):  # noqa: N818  (no error: it takes back what was only tried)
    """Ends a transaction without its effects."""


@dataclass(frozen=True)
class _Run:
    """What a worker came to that began with nothing."""

    idle: float
    peak: float
    """Megabytes before and while sending."""
    pace: float


def measure(effort: Effort) -> Iterator[Figure]:
    """Measure with PostgreSQL."""
    with sinks.running() as sink, installation("postgresql", sink.url) as place:
        readers.fill(place, effort.few)
        with application(place):
            publish()
        few = _send(place, effort.few_rounds)
        readers.fill(place, effort.many)
        with application(place):
            tries = by_turns(effort.few_rounds, _plan, lambda: _insert(effort.many))
        planned, bare = map(statistics.median, tries)
        goal, beside = Goal("≤", _PLANNING * effort.many), f"bare INSERT … SELECT of {effort.many:,}"
        yield Figure("planning-1000000", planned, "s", beside, bare, goal)
        yield Figure(f"memory:{effort.few}", few.peak, "MB", "idle worker", few.idle, _FLAT)
        many = _send(place, 1)
    yield Figure(f"memory:{effort.many}", many.peak, "MB", f"sending to {effort.few:,}", few.peak, _FLAT)
    yield Figure("digest-million", many.pace, "mails/s", f"to {effort.few:,}", few.pace, _AS_FAST)


def _send(place: Installation, times: int) -> _Run:
    """Send digests with a fresh worker."""
    worker = start_worker(place)
    idle = peak_megabytes(worker.pid)
    ours = Station(place, worker)
    pace = statistics.median(ours.digest().pace for _ in range(times))
    peak = peak_megabytes(worker.pid)
    worker.terminate()
    worker.wait(15)
    return _Run(idle, peak, pace)


def _plan() -> float:
    """Return the seconds that ordering a digest takes, all of it but the commit, and take it back."""
    begun = time.perf_counter()
    with contextlib.suppress(_Undone), transaction() as session:
        order(session, utc_now())
        taken = time.perf_counter() - begun
        raise _Undone
    readers.tidy()  # what was taken back has left its room behind
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
