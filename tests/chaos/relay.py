"""X5 and X6: a relay that drops, refuses, defers and hangs up; a relay that is away for a while."""

import time

from sqlalchemy import func, select, update

from newsletter.delivery import recovery
from newsletter.delivery.models import Delivery
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from tests.chaos.ground import Ground
from tests.chaos.result import Result, Size, experiment
from tests.chaos.stage import CONNECTIONS, Stage, eventually, staged

RATES = {"drop-before": 0.003, "drop-after": 0.003, "busy": 0.005, "later": 0.01, "refuse": 0.01}


def x5(ground: Ground, size: Size, seed: int) -> Result:
    """Send through a relay with a mix of faults; whoever was deferred is due again at once, until nobody is."""
    readers = 2_000 if size is Size.CI else 30_000
    mix = [word for name, rate in RATES.items() for word in (f"--{name}", str(rate * (2 if size is Size.CI else 1)))]
    with (
        experiment("X5", size, seed) as result,
        staged(ground, "sqlite", readers, sink=[*mix, "--seed", str(seed)]) as stage,
    ):
        stage.plan()
        stage.worker()
        eventually(lambda: _nobody_waits(stage), 300, every=0.5)
        stage.over()
        lost_after_dot = sum(one.kind in "~*" for one in stage.sink.seen())
        stage.judge(result, unknown=lost_after_dot)
        refused = [one.recipient for one in stage.sink.seen() if one.kind == "-"]
        result.exactly("refused_and_offered_again", len(refused) - len(set(refused)), 0)
        result.exactly("refused_and_not_failed", abs(len(refused) - int(result.counts.get("failed", 0))), 0)
        result.exactly("deferred_and_settled", sum(one.kind == "?" for one in stage.sink.seen()) > 0, True)
    return result


def _nobody_waits(stage: Stage) -> bool:
    """Let time go by for whoever was deferred; say whether all have been settled."""

    def hurry() -> None:
        with transaction() as session:
            session.execute(update(Delivery).where(Delivery.retry_at.is_not(None)).values(retry_at=utc_now()))
            recovery.regroup_due(session, utc_now())

    counts = stage.counts()
    if counts["deferred"]:
        stage.ask(hurry)
    return not (counts["planned"] or counts["sending"] or counts["deferred"])


def x6(ground: Ground, size: Size, seed: int) -> Result:
    """Take the relay away at 30 % and bring it back."""
    readers, away = (2_000, 3.0) if size is Size.CI else (50_000, 600.0)
    with (
        experiment("X6", size, seed) as result,
        staged(ground, "sqlite", readers, sink=("--delay", "0.005") if size is Size.CI else ()) as stage,
    ):
        stage.plan()
        stage.worker()
        stage.reached(readers * 3 // 10)
        stage.sink.stop()
        time.sleep(away)
        before = stage.sink.accepted()
        tried = stage.ask(lambda: db.session().scalar(select(func.count()).where(Delivery.attempts > 1)))
        stage.sink.start()
        back = time.monotonic()
        stage.reached(before + 1, 400)
        result.within("back_to_first_mail", time.monotonic() - back, 60 if size is Size.FULL else 30)
        stage.over(400)
        stage.judge(result, unknown=CONNECTIONS)
        result.exactly("attempts_that_the_outage_cost", tried, 0)
    return result
