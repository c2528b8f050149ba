"""What must go wrong when the program is broken on purpose: the checker finds each of it."""

from pathlib import Path

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select, text, update
from sqlalchemy.exc import OperationalError

from newsletter.delivery import planning, recovery
from newsletter.delivery.ledger import Ledger
from newsletter.delivery.models import Chunk
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from tests.chaos import controls, servers
from tests.chaos.cases import Break, case
from tests.chaos.checker import compare
from tests.chaos.failpoints import Fault
from tests.chaos.ground import Ground
from tests.chaos.result import Size
from tests.chaos.sink import Seen
from tests.delivery import world
from tests.servers.postgres import address

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]
KILLED = Fault("reply: read", "exit", after=20, seconds=0)


def test_the_checker_tells_who_is_lost_doubled_denied_and_strange() -> None:
    states = {"fine": "accepted", "lost": "accepted", "stuck": "sending", "denied": "planned", "unknown": "unknown"}
    took = ["fine", "denied", "unknown", "stranger", "doubled", "doubled", "ordered", "ordered"]
    seen = [Seen(0, "+", who, "") for who in took] + [Seen(0, "~", "lost", ""), Seen(0, "-", "stuck", "")]
    found = compare(states | {"doubled": "accepted", "ordered": "accepted"}, seen, {"ordered": 1})
    assert (found.lost, found.doubled, found.denied) == (("lost", "stuck", "denied"), ("doubled",), ("denied",))
    assert (found.strangers, found.delivered_unknown, found.arrived) == (("stranger",), 1, 8)


@pytest.mark.parametrize("broken", [controls.resend_blindly, controls.commit_after_the_dot])
def test_a_worker_that_is_killed_after_a_dot_doubles_that_mail_when(
    ground: Ground, tmp_path: Path, broken: Break
) -> None:
    with case(ground, "sqlite", tmp_path / "case") as one:
        one.work(KILLED, broken).join(30)
        one.work(None, broken)
        assert one.over()
        faults = one.findings().faults
        assert (faults["doubled"] > 0, faults["lost"]) == (True, 0)


def test_the_same_worker_doubles_nothing_when_nothing_is_broken(ground: Ground, tmp_path: Path) -> None:
    with case(ground, "sqlite", tmp_path / "case") as one:
        one.work(KILLED).join(30)
        one.work()
        assert one.over()
        found = one.findings()
        assert found.faults == {"lost": 0, "doubled": 0, "denied": 0, "strangers": 0}
        assert found.states == {"accepted": 59, "unknown": 1}


@pytest.mark.postgres
@pytest.mark.parametrize("broken", [False, True])
def test_a_reaper_that_waits_for_locked_rows_hangs_behind_a_worker_that_stands_still(
    app_on_each: Flask, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    if db.engine.dialect.name != "postgresql":
        return  # SQLite's writers are serial: there is one sending process
    monkeypatch.setattr(planning, "CHUNK", 10)
    world.build(20)
    world.start()
    ledger = Ledger(app_on_each, "host:1:a")
    assert ledger.claim(bulk=True)
    assert ledger.claim(bulk=True)
    with transaction() as session:
        session.execute(update(Chunk).values(leased_until=utc_now()))
    first = db.session.scalars(select(Chunk.id).order_by(Chunk.id)).first()
    db.session.commit()
    put_right = controls.wait_for_locked_rows() if broken else lambda: None
    url = address(app_on_each.config["SQLALCHEMY_DATABASE_URI"])
    with psycopg.connect(url) as stopped:  # idle in a transaction, as by SIGSTOP
        stopped.execute("SELECT 1 FROM chunks WHERE id = %s FOR UPDATE", [first])
        try:
            assert (_reaped() == 1) is not broken
        finally:
            put_right()


def _reaped() -> int | None:
    """Return how many chunks could be given back; None when the reaper was held up."""
    try:
        with transaction() as session:
            session.execute(text("SET LOCAL lock_timeout = '500ms'"))
            return recovery.reap(session, utc_now())
    except OperationalError:
        return None


@pytest.mark.postgres
@pytest.mark.redis
def test_a_database_that_forgets_commits_doubles_mails(ground: Ground) -> None:
    found = servers.x7(ground, Size.CI, seed=7, durable=False)
    assert found.counts.get("doubled", 0) > 0, found.document()
