"""A relay that is far away: what a few connections can carry at best, one mail in each at a time, and what we carry."""

from collections.abc import Iterator
from statistics import median
from typing import Final

from bench import sinks
from bench.figures import Figure, Goal
from bench.measuring import Effort
from bench.places import CONNECTIONS
from bench.sending import station

_CARRIED: Final = Goal("≥", 0.9, of_peer=True)


def measure(round_trip: float, effort: Effort) -> Iterator[Figure]:
    """Measure with a sink that lets each answer wait for `round_trip` seconds."""
    possible = CONNECTIONS / round_trip
    with (
        sinks.running(delay=round_trip) as sink,
        station("postgresql", sink.url, round(possible * effort.stretch)) as ours,
    ):
        pace = median(ours.digest().pace for _ in range(effort.few_rounds))
    name = f"latency-{round_trip * 1000:.0f}ms"
    yield Figure(name, pace, "mails/s", f"{CONNECTIONS} connections / round trip", possible, _CARRIED)
