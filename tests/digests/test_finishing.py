"""The ways of a run, each of them, and none besides."""

import datetime
import itertools

import pytest

from newsletter.digests.finishing import move
from newsletter.digests.models import Run, RunState, SkipReason
from newsletter.foundation.errors import ConflictError
from tests.conftest import NOW

WAYS = {
    (RunState.PLANNED, RunState.SENDING),
    (RunState.PLANNED, RunState.SKIPPED),
    (RunState.PLANNED, RunState.CANCELLED),
    (RunState.SENDING, RunState.SENT),
    (RunState.SENDING, RunState.CANCELLED),
    (RunState.SENT, RunState.SENDING),
}
ENDS = {RunState.SENT, RunState.SKIPPED, RunState.CANCELLED}


def reason_for(state: RunState) -> SkipReason | None:
    return SkipReason.NOTHING_NEW if state is RunState.SKIPPED else None


@pytest.mark.parametrize(("before", "after"), sorted(WAYS))
def test_a_run_moves_on(before: RunState, after: RunState) -> None:
    run = Run(state=before)
    move(run, after, NOW, reason_for(after))
    assert (run.state, run.skip_reason) == (after, reason_for(after))
    assert run.finished_at == (NOW if after in ENDS else None)


@pytest.mark.parametrize(("before", "after"), sorted(set(itertools.product(RunState, RunState)) - WAYS))
def test_a_run_moves_no_other_way(before: RunState, after: RunState) -> None:
    run = Run(state=before, finished_at=None)
    with pytest.raises(ConflictError):
        move(run, after, NOW + datetime.timedelta(hours=1), reason_for(after))
    assert (run.state, run.finished_at) == (before, None)


def test_a_skipped_run_says_why_and_no_other_does() -> None:
    with pytest.raises(ValueError, match="reason"):
        move(Run(state=RunState.PLANNED), RunState.SKIPPED, NOW)
    with pytest.raises(ValueError, match="reason"):
        move(Run(state=RunState.PLANNED), RunState.SENDING, NOW, SkipReason.HELD)
