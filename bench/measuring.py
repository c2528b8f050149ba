"""How things are measured: by turns, so that a slow minute of the machine hits all alike, and as medians."""

import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    rounds: int
    """Turns that each measure gets, where a turn takes seconds."""
    few_rounds: int
    """The same where it takes up to a minute."""
    seconds: float
    """Length of a turn, where a turn is a time."""
    stretch: float
    """Seconds that a digest should take through a slow relay, long beside what its beginning takes."""
    readers: int
    """Of a digest, where a turn is a digest."""
    few: int
    many: int
    """Readers where what a few take is compared with what many take."""


FULL: Final = Effort(rounds=5, few_rounds=3, seconds=3.0, stretch=20.0, readers=50_000, few=10_000, many=1_000_000)
QUICK: Final = Effort(rounds=1, few_rounds=1, seconds=1.0, stretch=2.0, readers=2_000, few=500, many=5_000)


def by_turns(rounds: int, *measures: Callable[[], T]) -> list[list[T]]:
    """Take each measure once, then each again, `rounds` times; return the results of each."""
    taken: list[list[T]] = [[] for _ in measures]
    for _ in range(rounds):
        for results, measure in zip(taken, measures, strict=True):
            results.append(measure())
    return taken


def medians(rounds: int, *measures: Callable[[], float]) -> Sequence[float]:
    """Return the median of each measure, taken by turns."""
    return [statistics.median(results) for results in by_turns(rounds, *measures)]


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used, all its threads together (proc(5), fields 14 and 15)."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


def peak_megabytes(pid: int) -> float:
    """Return the most memory that a process has held resident (proc(5), VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(f"process {pid} has ended")
