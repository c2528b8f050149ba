"""How a run moves from state to state: `planned → sending → sent`, or `skipped`, `cancelled`."""

import datetime
from typing import Final

from newsletter.digests.models import Run, RunState, SkipReason
from newsletter.foundation.errors import ConflictError

_NEXT: Final[dict[RunState, frozenset[RunState]]] = {
    RunState.PLANNED: frozenset({RunState.SENDING, RunState.SKIPPED, RunState.CANCELLED}),
    RunState.SENDING: frozenset({RunState.SENT, RunState.CANCELLED}),
    RunState.SENT: frozenset({RunState.SENDING}),  # an operator has deliveries sent again whose fate was unknown
    RunState.SKIPPED: frozenset(),
    RunState.CANCELLED: frozenset(),
}

_ENDS: Final = frozenset({RunState.SENT, RunState.SKIPPED, RunState.CANCELLED})


def move(run: Run, state: RunState, now: datetime.datetime, reason: SkipReason | None = None) -> None:
    """Move `run` on to `state`, with the reason if it is skipped. Raises ConflictError where no way leads there."""
    if state not in _NEXT[run.state]:
        raise ConflictError(f"A digest that is {run.state} cannot become {state}.")
    if (state is RunState.SKIPPED) != (reason is not None):
        raise ValueError("a reason belongs to a skipped run, and to no other")
    run.state, run.skip_reason = state, reason
    run.finished_at = now if state in _ENDS else None
