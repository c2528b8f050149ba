"""X13 and X14: what people order while a digest goes out takes effect at once."""

import random
import time
from functools import partial
from pathlib import Path
from statistics import quantiles
from typing import Final

from flask import Flask
from sqlalchemy import select

from newsletter.audience import consent, leaving, suppression
from newsletter.audience.models import SuppressionReason
from newsletter.delivery import control
from newsletter.delivery.ledger import Ledger
from newsletter.delivery.models import Mailing
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from tests.chaos.ground import Ground
from tests.chaos.kills import senders
from tests.chaos.result import Result, Size, experiment
from tests.chaos.sink import ACCEPTED
from tests.chaos.stage import CONNECTIONS, Stage, eventually, staged

EFFECT: Final = {Size.CI: 4.0, Size.FULL: 1.0}
"""Seconds after which an order must have taken effect. A test run shares its machine and is given more; the digest is
slow enough that an order without any effect would still be seen."""


def x13(ground: Ground, size: Size, seed: int) -> Result:
    """Plan a big digest and cancel it at 10 %."""
    readers = 20_000 if size is Size.CI else 1_000_000
    with (
        experiment("X13", size, seed) as result,
        staged(ground, "postgresql", readers, sink=("--delay", "0.01"), patches=("--bells", "1")) as stage,
    ):
        begun = time.monotonic()
        stage.plan()
        result.within("seconds_to_plan", time.monotonic() - begun, 60)
        stage.worker()
        stage.reached(500)
        small = _memory(stage)
        result.within("claim_p99", _claims(stage.app), 0.05)
        stage.reached(readers // 10, 600)
        grown = _memory(stage) - small
        stage.ask(lambda: _cancel(stage.run_id))
        cancelled = time.time()
        eventually(lambda: not stage.counts()["sending"] and not stage.counts()["planned"], 60, every=0.2)
        time.sleep(EFFECT[size] + 1)
        late = sum(one.at > cancelled + EFFECT[size] for one in stage.sink.seen() if one.kind in ACCEPTED)
        found = stage.findings()
        result.at_most("after_the_cancel_took_effect", late, stage.children * CONNECTIONS)
        result.exactly("deliveries", found.states.total(), readers)
        for name, number in found.faults.items():
            result.exactly(name, number, 0)
        result.at_least("cancelled", found.states["skipped"], readers // 2)
        result.counts["accepted"] = found.states["accepted"]
        if size is Size.FULL:
            result.at_most("memory_growth_in_mb", round(grown / 1024), 100)
    return result


def _claims(app: Flask, number: int = 200) -> float:
    """Claim chunks beside the workers, and give them back; return the seconds that 99 of 100 claims take at most."""
    ledger, seconds = Ledger(app, "host:1:chaos"), []
    for _ in range(number + 1):
        begun = time.monotonic()
        lease = ledger.claim(bulk=True)
        seconds.append(time.monotonic() - begun)
        if lease is not None:
            ledger.release(lease)
    ledger.close()
    return quantiles(seconds[1:], n=100)[98]  # the first one had to learn what the digest is made of


def _cancel(run_id: int) -> None:
    with transaction() as session:
        mailing_id = session.scalars(select(Mailing.id).where(Mailing.run_id == run_id)).one()
        control.cancel(session, mailing_id, utc_now())


def _memory(stage: Stage) -> int:
    """Return the resident kilobytes of the largest sender."""
    found = [0]
    for pid in senders(stage.place.running[0].pid):
        status = Path(f"/proc/{pid}/status").read_text()
        found += [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")]
    return max(found)


def x14(ground: Ground, size: Size, seed: int) -> Result:
    """Let readers leave and complain at random moments."""
    readers, orders = (3_000, 150) if size is Size.CI else (20_000, 1_000)
    dice = random.Random(seed)
    chosen = dice.sample(range(1, readers + 1), orders)
    with (
        experiment("X14", size, seed) as result,
        staged(ground, "sqlite", readers, sink=("--delay", "0.012" if size is Size.CI else "0.005")) as stage,
    ):
        stage.plan()
        stage.worker()
        stage.reached(1)
        committed: dict[str, float] = {}
        for number, subscriber_id in enumerate(chosen):
            stage.ask(partial(_go, subscriber_id, complaint=bool(number % 2)))
            committed[f"r{subscriber_id}@example.org"] = time.time()
            time.sleep(dice.uniform(0, 2 * 0.02 if size is Size.CI else 0.05))
        stage.over()
        late = [
            one.recipient
            for one in stage.sink.seen()
            if one.kind in ACCEPTED and one.at > committed.get(one.recipient, one.at) + EFFECT[size]
        ]
        found = stage.judge(result, unknown=0)
        result.exactly("dots_after_the_order_took_effect", len(late), 0)
        result.at_least("skipped", found.states["skipped"], 1)
        result.counts["orders"] = orders
    return result


def _go(subscriber_id: int, *, complaint: bool) -> None:
    with transaction() as session:
        if complaint:
            suppression.suppress_hash(session, f"a{subscriber_id}", SuppressionReason.COMPLAINT, utc_now())
        else:
            leaving.leave_cadence(session, subscriber_id, 1, utc_now(), consent.Client())
    db.session.remove()
