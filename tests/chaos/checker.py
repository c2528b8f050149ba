"""The checker: the sink's log beside the ledger. It knows what must hold and nothing of how the engine works.

Each recipient has one delivery. *Lost* is whom the ledger believes to have the mail, or who is still on the way when
all is over, and whom the sink never accepted. *Doubled* is whom the sink accepted more often than once and once more
for each time that an operator ordered it. *Denied* is whom the sink accepted and of whom the ledger says that nothing
was sent: the next to resend would double them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.chaos.result import Result
from tests.chaos.sink import ACCEPTED, Seen

OPEN = ("planned", "sending", "deferred")


@dataclass(frozen=True)
class Findings:
    """What the comparison came to."""

    states: Counter[str]
    arrived: int
    """Messages that the sink accepted."""
    lost: tuple[str, ...]
    doubled: tuple[str, ...]
    denied: tuple[str, ...]
    strangers: tuple[str, ...]
    """Whom the sink accepted and the ledger does not know."""
    delivered_unknown: int
    """Unknown ones that did arrive."""

    @property
    def faults(self) -> dict[str, int]:
        return {
            "lost": len(self.lost),
            "doubled": len(self.doubled),
            "denied": len(self.denied),
            "strangers": len(self.strangers),
        }


def compare(states: Mapping[str, str], seen: Iterable[Seen], ordered: Mapping[str, int] | None = None) -> Findings:
    """Compare the ledger (recipient to state) with what the sink saw; `ordered` counts operators' resends."""
    taken = Counter(one.recipient for one in seen if one.kind in ACCEPTED)
    extra = ordered or {}
    return Findings(
        states=Counter(states.values()),
        arrived=taken.total(),
        lost=tuple(who for who, state in states.items() if state in OPEN or (state == "accepted" and not taken[who])),
        doubled=tuple(who for who, times in taken.items() if times > 1 + extra.get(who, 0)),
        denied=tuple(who for who, state in states.items() if taken[who] and state not in ("accepted", "unknown")),
        strangers=tuple(who for who in taken if who not in states),
        delivered_unknown=sum(1 for who, state in states.items() if state == "unknown" and taken[who]),
    )


def judge(result: Result, found: Findings, *, unknown: int, deliveries: int) -> None:
    """Hold the findings against the promises: nothing lost, nothing doubled, at most `unknown` in doubt."""
    result.exactly("deliveries", found.states.total(), deliveries)
    for name, number in found.faults.items():
        result.exactly(name, number, 0)
    result.at_most("unknown", found.states["unknown"], unknown)
    result.counts |= {"arrived": found.arrived, "unknown_that_arrived": found.delivered_unknown}
    result.counts |= {state: number for state, number in found.states.items() if state != "unknown"}
