"""X3: every failpoint, with a process that ends there, stands still beyond its lease, or meets an error."""

import itertools
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.chaos.cases import LEASE, case
from tests.chaos.failpoints import ACTIONS, DOUBTFUL, LEDGER, POINTS, Fault
from tests.chaos.ground import Ground
from tests.chaos.result import Result, Size, experiment

AT_ONCE = 4
"""Cases played side by side: they mostly wait."""


def x3(ground: Ground, size: Size, seed: int) -> Result:
    """Play the matrix, in full on both databases; standing still, which needs a second worker, on PostgreSQL only."""
    plays = _some() if size is Size.CI else _all(random.Random(seed))
    with experiment("X3", size, seed) as result:
        ground.sqlite_template, ground.postgres_template  # noqa: B018  (made once, before they are asked for side by side)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            problems = list(pool.map(lambda play: _play(ground, *play), plays))
        result.exactly("cases_with_a_problem", sum(problem != "" for problem in problems), 0)
        result.counts["cases"] = len(plays)
        result.broken += [
            f"{kind}, {point} ({after}), {action}: {problem}"
            for (kind, point, action, after), problem in zip(plays, problems, strict=True)
            if problem
        ]
    return result


def _some() -> list[tuple[str, str, str, int]]:
    """Each point with each action, once."""
    kinds = {"exit": "sqlite", "error": "sqlite", "hang": "postgresql"}
    return [
        (kinds[action], point, action, 1 if point in LEDGER else 20)
        for point, action in itertools.product(POINTS, ACTIONS)
    ]


def _all(dice: random.Random) -> list[tuple[str, str, str, int]]:
    """Each five times on each database, here and there in the digest."""
    return [
        (kind, point, action, dice.randint(1, 3 if point in LEDGER else 40))
        for _, kind, point, action in itertools.product(range(5), ("sqlite", "postgresql"), POINTS, ACTIONS)
        if not (action == "hang" and kind == "sqlite")
    ]


def _play(ground: Ground, kind: str, point: str, action: str, after: int) -> str:
    """Return what went wrong, if anything."""
    folder = ground.folder / f"case-{next(_numbers)}"
    with case(ground, kind, Path(folder)) as one:
        first = one.work(Fault(point, action, after, seconds=LEASE.total_seconds() * 2))
        if action == "exit":
            first.join(30)
        if action != "error":
            one.work()
        over = one.over()
        found = one.findings()
        # A later step of the ledger's, or an error on the wire, may come while the one connection has a dot out.
        late = after > 1 if point in LEDGER else action == "error"
        may_be_unknown = int(point in DOUBTFUL or late)
        faults = {name: number for name, number in found.faults.items() if number}
        if not over:
            at_work = sum(worker.is_alive() for worker in one.workers)
            return (
                f"it did not come to its end: {dict(found.states)} {faults}, {at_work} at work, sent: {one.finished()}"
            )
        if found.states["unknown"] > may_be_unknown:
            faults["unknown"] = found.states["unknown"]
        return ", ".join(f"{name} {number}" for name, number in faults.items())


_numbers = itertools.count()
