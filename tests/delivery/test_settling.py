"""What is told late, or by a worker that is not the owner any more, changes only what it is about."""

import datetime

import pytest
from flask import Flask
from sqlalchemy import select, update

from newsletter.delivery import control, finishing, recovery
from newsletter.delivery.control import Settlement
from newsletter.delivery.leases import Lease
from newsletter.delivery.ledger import Ledger
from newsletter.delivery.models import Chunk, Mailing, MailingState
from newsletter.delivery.replies import Outcome, Verdict
from newsletter.digests.models import RunState
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from tests.delivery import world

ACCEPTED = Outcome(Verdict.ACCEPTED, 250, "queued as 1")
LATER = datetime.timedelta(hours=1)


def begun(app: Flask, owner: str) -> tuple[Ledger, Lease, list[int]]:
    """A worker has begun whatever there is to begin."""
    ledger = Ledger(app, owner)
    while lease := ledger.claim(bulk=True):
        if ids := list(ledger.begin(lease, 10, {}, 0).messages):
            return ledger, lease, ids
    raise AssertionError("there is nothing to begin")


def given_up(now: datetime.datetime) -> None:
    """Its lease has run out."""
    with transaction() as session:
        recovery.reap(session, now + LATER)


@pytest.mark.parametrize("late", [Verdict.UNSENT, Verdict.TEMPORARY, Verdict.REFUSED, Verdict.UNKNOWN, Verdict.OURS])
def test_what_a_former_owner_says_moves_nothing_that_another_is_sending(app_on_each: Flask, late: Verdict) -> None:
    world.build(1)
    world.start()
    slow, old, (delivery_id,) = begun(app_on_each, "host:1:a")
    given_up(utc_now())
    with transaction() as session:
        control.settle_unknown(session, None, Settlement.RESEND, utc_now())
    quick, lease, ids = begun(app_on_each, "host:2:b")
    assert ids == [delivery_id]
    slow.settle(old, {delivery_id: Outcome(late, 451, "later")}, 0)
    assert world.states(db.session()) == {"sending": 1}
    quick.settle(lease, {delivery_id: ACCEPTED}, 0)
    assert world.states(db.session()) == {"accepted": 1}


def test_a_former_owner_is_believed_that_it_was_accepted(app_on_each: Flask) -> None:
    world.build(1)
    world.start()
    slow, old, (delivery_id,) = begun(app_on_each, "host:1:a")
    given_up(utc_now())
    with transaction() as session:
        control.settle_unknown(session, None, Settlement.RESEND, utc_now())
    begun(app_on_each, "host:2:b")
    slow.settle(old, {delivery_id: ACCEPTED}, 0)
    assert world.states(db.session()) == {"accepted": 1}


@pytest.mark.parametrize("late", [Verdict.UNSENT, Verdict.TEMPORARY])
def test_what_turns_out_unsent_after_the_run_was_sent_opens_it_again_and_goes_out(
    app_on_each: Flask, late: Verdict
) -> None:
    world.build(1)
    run = world.start()
    slow, old, (delivery_id,) = begun(app_on_each, "host:1:a")
    given_up(utc_now())
    mailing_id = db.session.scalars(select(Mailing.id)).one()
    with transaction() as session:
        assert finishing.finish_if_settled(session, mailing_id, utc_now())
    slow.settle(old, {delivery_id: Outcome(late, None, "")}, 0)
    slow.release(old)
    assert world.states(db.session()) == {"deferred": 1}
    db.session.refresh(run)
    assert run.state is RunState.SENDING
    with transaction() as session:
        assert recovery.regroup_due(session, utc_now() + LATER) == 1
        session.execute(update(Chunk).values(not_before=utc_now()))  # time goes by
    quick, lease, ids = begun(app_on_each, "host:2:b")
    quick.settle(lease, dict.fromkeys(ids, ACCEPTED), 0)
    quick.release(lease)
    assert world.states(db.session()) == {"accepted": 1}
    assert db.session.scalars(select(Mailing.state)).one() is MailingState.FINISHED


def test_what_turns_out_unsent_in_a_cancelled_mailing_is_skipped(app_on_each: Flask) -> None:
    world.build(2)
    world.start()
    worker, lease, (first, second) = begun(app_on_each, "host:1:a")
    mailing_id = db.session.scalars(select(Mailing.id)).one()
    with transaction() as session:
        control.cancel(session, mailing_id, utc_now())
    worker.settle(lease, {first: Outcome(Verdict.UNSENT), second: Outcome(Verdict.TEMPORARY, 451, "later")}, 0)
    worker.release(lease)
    assert world.states(db.session()) == {"skipped": 2}


def test_a_claim_that_failed_leaves_nothing_behind_that_a_later_one_stumbles_over(
    app_on_each: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.build(2)
    world.start()
    ledger = Ledger(app_on_each, "host:1:a")
    with monkeypatch.context() as failing:
        failing.setattr("newsletter.delivery.leases.Lease", None)
        with pytest.raises(TypeError):
            ledger.claim(bulk=True)
    lease = ledger.claim(bulk=True)
    assert lease is not None
    assert len(ledger.begin(lease, 10, {}, 0).messages) == 2
