"""What an experiment found: figures, the bounds they were held to, and which were not kept."""

import contextlib
import enum
import time
from collections.abc import Iterator
from dataclasses import dataclass, field


class Size(enum.StrEnum):
    """How much is played."""

    CI = "ci"
    """Small enough for every test run."""
    FULL = "full"
    """The numbers that the promises are judged by; times count here only."""


@dataclass
class Result:
    """The record of one experiment."""

    experiment: str
    size: Size
    seed: int
    seconds: float = 0.0
    counts: dict[str, float] = field(default_factory=dict)
    bounds: dict[str, str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    """A sentence for each bound that was not kept."""

    @property
    def ok(self) -> bool:
        """Whether every promise was kept."""
        return not self.broken

    def at_most(self, name: str, number: float, bound: float) -> None:
        """Note a figure that must not be larger than `bound`."""
        self._judge(name, number, f"≤ {bound}", number <= bound)

    def at_least(self, name: str, number: float, bound: float) -> None:
        """Note a figure that must not be smaller than `bound`."""
        self._judge(name, number, f"≥ {bound}", number >= bound)

    def exactly(self, name: str, number: float, wanted: float) -> None:
        """Note a figure that must be `wanted`."""
        self._judge(name, number, f"= {wanted}", number == wanted)

    def within(self, name: str, seconds: float, bound: float) -> None:
        """Note a time. Only the full size is judged by it: a test run shares its machine."""
        self._judge(name, round(seconds, 2), f"≤ {bound} s", self.size is Size.CI or seconds <= bound)

    def _judge(self, name: str, number: float, bound: str, kept: bool) -> None:
        self.counts[name], self.bounds[name] = number, bound
        if not kept:
            self.broken.append(f"{name} is {number}, and must be {bound}")

    def document(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return {
            "experiment": self.experiment,
            "size": self.size.value,
            "seed": self.seed,
            "ok": self.ok,
            "broken": self.broken,
            "counts": self.counts,
            "bounds": self.bounds,
            "seconds": round(self.seconds, 1),
        }


@contextlib.contextmanager
def experiment(name: str, size: Size, seed: int) -> Iterator[Result]:
    """Give the record of an experiment to fill in, and measure how long it takes. One that gets stuck has failed."""
    result, begun = Result(name, size, seed), time.monotonic()
    try:
        yield result
    except AssertionError as stuck:
        result.broken.append(f"it got stuck: {stuck}")
    result.seconds = time.monotonic() - begun
