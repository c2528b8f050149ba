"""How the story is told while it happens, and what of it is kept: steps with their time and counts, and problems."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape

from newsletter.foundation.clock import monotonic
from newsletter.foundation.errors import NewsletterError


@dataclass
class Step:
    """One part of the story."""

    name: str
    seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)


class Telling:
    """The story so far. A terminal sees what happens at the moment; elsewhere a line stands for each step."""

    def __init__(self, console: Console) -> None:
        self.steps: list[Step] = []
        self.problems: list[str] = []
        self._console = console

    @property
    def ok(self) -> bool:
        """Whether the story was told without a problem."""
        return bool(self.steps) and not self.problems

    @contextmanager
    def step(self, name: str) -> Iterator[dict[str, int]]:
        """Time the block as one step; what it puts into the mapping are the step's counts."""
        step = Step(name)
        self.steps.append(step)
        before = len(self.problems)
        begun = monotonic()
        done = False
        try:
            with self._console.status(escape(name)):
                yield step.counts
            done = len(self.problems) == before
        except NewsletterError as error:
            self.problems.append(str(error))
            raise
        finally:
            step.seconds = round(monotonic() - begun, 2)
            mark = "[green]✓[/]" if done else "[red]✗[/]"
            facts = escape(in_words(step.counts))
            self._console.print(f"{mark} {escape(name)}  [dim]{facts}  {step.seconds:.1f} s[/]", soft_wrap=True)
            for problem in self.problems[before:]:
                self._console.print(f"  [red]{escape(problem)}[/]", soft_wrap=True)

    def expect(self, what: str, found: object, wanted: object) -> None:
        """Note a problem unless `found` is what was `wanted`."""
        if found != wanted:
            self.problems.append(f"{what}: {found}, but it should be {wanted}.")

    def expect_same(self, what: str, found: Collection[str], wanted: Collection[str]) -> None:
        """Note a problem for whatever is in one collection and not in the other, or in one of them twice."""
        for kind, odd in (
            ("missing", set(wanted) - set(found)),
            ("not expected", set(found) - set(wanted)),
            ("more than once", {one for one in found if list(found).count(one) > 1}),
        ):
            if odd:
                some = sorted(odd)
                more = f" and {len(some) - 3} more" if len(some) > 3 else ""
                self.problems.append(f"{what}, {kind}: {', '.join(some[:3])}{more}.")


def in_words(counts: dict[str, int]) -> str:
    """Write counts as `sign-ups 102, languages 5`."""
    return ", ".join(f"{name.replace('_', ' ')} {number:,}" for name, number in counts.items())
