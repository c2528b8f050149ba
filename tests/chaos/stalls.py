"""X4: workers that stand still beyond their lease, and come back."""

import os
import random
import signal
import time

from sqlalchemy import func, select

from newsletter.delivery.models import Chunk, ChunkState, Delivery
from newsletter.foundation.db import db
from tests.chaos.ground import Ground
from tests.chaos.kills import senders
from tests.chaos.result import Result, Size, experiment
from tests.chaos.stage import CONNECTIONS, Stage, eventually, staged


def x4(ground: Ground, size: Size, seed: int) -> Result:
    """SIGSTOP a sending process until its lease has run out and others have gone on; then SIGCONT."""
    readers, stalls, lease = (2_500, 3, 2.0) if size is Size.CI else (40_000, 40, 4.0)
    dice = random.Random(seed)
    with (
        experiment("X4", size, seed) as result,
        staged(
            ground,
            "postgresql",
            readers,
            sink=("--delay", "0.01"),
            patches=("--bells", "1", "--lease", str(lease)),
        ) as stage,
    ):
        stage.plan()
        worker, doubts = stage.worker(), 0
        for number in range(1, stalls + 1):
            stage.reached(number * readers // (stalls + 2))
            victim = dice.choice(eventually(lambda: senders(worker.pid)))
            os.kill(victim, signal.SIGSTOP)
            try:
                _wait_until_others_have_its_chunks(stage, victim, lease + 12)
                doubts += stage.ask(_doubts)
            finally:
                os.kill(victim, signal.SIGCONT)
        stage.over()
        found = stage.judge(result, unknown=max(stalls * CONNECTIONS, doubts // 20))
        result.counts["stalls"] = stalls
        result.at_least("doubts_while_it_stood_still", doubts, stalls)  # else there was nothing to clear up
        result.at_most("doubts_left", found.states["unknown"], max(1, doubts // 20))
    return result


def _wait_until_others_have_its_chunks(stage: Stage, process: int, seconds: float) -> None:
    """One that stands still in the middle of a transaction keeps them: then it is enough to have waited."""
    mine = select(func.count()).where(Chunk.owner.like(f"%:{process}:%"), Chunk.state == ChunkState.LEASED)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and stage.ask(lambda: db.session().scalars(mine).one()):
        time.sleep(0.1)


def _doubts() -> int:
    return db.session().scalars(select(func.count()).where(Delivery.unknown_at.is_not(None))).one()
