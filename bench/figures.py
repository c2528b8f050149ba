"""What a measurement comes to, and how it is shown: a table, a page's table, one JSON document."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from rich import box
from rich.table import Table

_COLUMNS: Final = ("figure", "value", "beside", "its value", "ratio", "goal", "holds")


@dataclass(frozen=True)
class Goal:
    """What a figure must reach: at least or at most `bound`, in its own unit or as a share of its peer's value."""

    side: Literal["≥", "≤"]
    bound: float
    of_peer: bool = False

    def holds(self, value: float, ratio: float) -> bool:
        """Say whether a figure reaches it."""
        reached = ratio if self.of_peer else value
        return reached >= self.bound if self.side == "≥" else reached <= self.bound

    def words(self, unit: str) -> str:
        """Return it as people read it, e.g. `≥ 0.9 × peer` or `≤ 150 MB`."""
        return f"{self.side} {self.bound:g} {'× peer' if self.of_peer else unit}"


@dataclass(frozen=True)
class Figure:
    """One measured value and what was measured beside it, in the same unit."""

    name: str
    """`benchmark` or `benchmark:detail`."""
    value: float
    unit: str
    peer: str
    peer_value: float
    goal: Goal | None = None

    @property
    def ratio(self) -> float:
        """The value as a multiple of the peer's."""
        return self.value / self.peer_value

    @property
    def holds(self) -> bool | None:
        """Whether it reaches its goal; None where it has none."""
        return self.goal.holds(self.value, self.ratio) if self.goal else None

    def as_row(self) -> dict[str, Any]:
        """Return it as plain values, for programs."""
        return {
            "name": self.name,
            "value": _rounded(self.value),
            "unit": self.unit,
            "peer": self.peer,
            "peer_value": _rounded(self.peer_value),
            "ratio": _rounded(self.ratio),
            "goal": self.goal.words(self.unit) if self.goal else None,
            "holds": self.holds,
        }

    def cells(self) -> tuple[str, ...]:
        """Return it as people read it, in the order of the table's columns."""
        return (
            self.name,
            f"{_number(self.value)} {self.unit}",
            self.peer,
            f"{_number(self.peer_value)} {self.unit}",
            f"{self.ratio:.2f}",
            self.goal.words(self.unit) if self.goal else "–",
            {True: "yes", False: "no", None: "–"}[self.holds],
        )


def document(figures: Sequence[Figure]) -> dict[str, Any]:
    """Return all figures as one document."""
    return {"figures": [figure.as_row() for figure in figures]}


def table(figures: Sequence[Figure]) -> Table:
    """Return all figures as a table for a terminal; it is not cut where that is narrower."""
    shown = Table(box=box.SIMPLE_HEAD)
    for column in _COLUMNS:
        right = column in ("value", "its value", "ratio")
        shown.add_column(column, justify="right" if right else "left", no_wrap=True)
    for figure in figures:
        shown.add_row(*figure.cells())
    return shown


def markdown(figures: Sequence[Figure]) -> str:
    """Return all figures as a table for docs/performance.md."""
    rows = [_COLUMNS, ("---", "--:", "---", "--:", "--:", "---", "---"), *(figure.cells() for figure in figures)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
