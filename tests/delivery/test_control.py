"""What operators, and the breaker, do to a mailing: paused with a reason, slowed down, resent to those who failed."""

import datetime

import pytest
from flask import Flask
from sqlalchemy import delete, select, update

from newsletter.audience.models import Subscriber, Subscription, SubscriptionState, Suppression
from newsletter.audience.models import SuppressionReason as Why
from newsletter.delivery import balancing, control, finishing, planning, recovery
from newsletter.delivery.control import Settlement
from newsletter.delivery.models import Chunk, ChunkState, Delivery, DeliveryState, Mailing, MailingKind, MailingState
from newsletter.delivery.replies import Failure, Outcome, Verdict
from newsletter.delivery.settling import count, settle
from newsletter.digests.models import Run, RunState
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.errors import ConflictError, InvalidError
from newsletter.operators import alarms
from tests.delivery import world

ACCEPTED = Outcome(Verdict.ACCEPTED, 250, "ok")
DEAD = Outcome(Verdict.REFUSED, 550, "5.1.1 no such user", Failure.READER)
BLOCKED = Outcome(Verdict.REFUSED, 550, "5.7.1 blocked", Failure.REPUTATION)
UNREAD = Outcome(Verdict.UNKNOWN, None, "lost")


def _sent(outcomes: list[Outcome]) -> Mailing:
    """A run to as many readers, each with the outcome of their place; the rest stays planned."""
    world.build(len(outcomes))
    world.start()
    mailing = db.session.scalars(select(Mailing)).one()
    ids = db.session.scalars(select(Delivery.id).order_by(Delivery.id)).all()
    with transaction() as session:
        session.execute(update(Delivery).values(state=DeliveryState.SENDING, offered_at=utc_now(), attempts=1))
        count(session, {(mailing.id, DeliveryState.PLANNED, DeliveryState.SENDING): len(ids)})
        settle(session, dict(zip(ids, outcomes, strict=True)), utc_now(), owner="")
        session.execute(update(Chunk).values(state=ChunkState.DONE))
        finishing.finish_if_settled(session, mailing.id, utc_now())
    return _fresh()


def _fresh() -> Mailing:
    db.session.commit()
    return db.session.scalars(select(Mailing).execution_options(populate_existing=True)).one()


def _run() -> Run:
    db.session.commit()
    return db.session.scalars(select(Run).execution_options(populate_existing=True)).one()


def test_a_mailing_that_pauses_by_itself_says_why_once_until_it_is_resumed(app_on_each: Flask) -> None:
    world.build(3)
    world.start()
    mailing = _fresh()
    now = utc_now()
    for first in (True, False):  # a second worker comes to it too
        with transaction() as session:
            assert control.pause_by_itself(session, mailing.id, "Providers refuse us.", now) is first
    assert (_fresh().state, _fresh().paused_because) == (MailingState.PAUSED, "Providers refuse us.")
    (alarm,) = alarms.standing(db.session())
    assert alarm.text == f"The digest “Daily” (run {_run().id}) has paused. Providers refuse us."
    with transaction() as session:
        control.resume(session, mailing.id, now)
    assert (_fresh().state, _fresh().paused_because) == (MailingState.SENDING, "")
    assert alarms.standing(db.session()) == []
    later = now + datetime.timedelta(seconds=1)
    with transaction() as session:
        assert control.pause_by_itself(session, mailing.id, "Again.", later)
        assert len(alarms.standing(session)) == 1
        control.cancel(session, mailing.id, later)
        assert alarms.standing(session) == []
        assert not control.pause_by_itself(session, mailing.id, "Too late.", later)


def test_an_operators_pause_needs_no_reason_and_raises_no_alarm(app: Flask) -> None:
    world.build(1)
    world.start()
    mailing = _fresh()
    with transaction() as session:
        control.pause(session, mailing.id)
    assert (_fresh().state, _fresh().paused_because) == (MailingState.PAUSED, "")
    with pytest.raises(ConflictError), transaction() as session:
        control.pause(session, mailing.id, because="late")
    assert _fresh().paused_because == ""
    assert alarms.standing(db.session()) == []


def test_confirmations_go_on_whoever_refuses_them_and_operators_hear_of_it(app: Flask) -> None:
    world.build(1)
    with transaction() as session:
        mailing = planning._mailing(session, MailingKind.CONFIRMATIONS, utc_now())
        assert not control.pause_by_itself(session, mailing.id, "Providers refuse us.", utc_now())
    assert _fresh().state is MailingState.SENDING
    assert [alarm.text for alarm in alarms.standing(db.session())] == [
        "Confirmations are refused. Providers refuse us."
    ]


def test_a_speed_is_set_and_lifted_while_there_is_something_to_send(app: Flask) -> None:
    world.build(2)
    world.start()
    mailing = _fresh()
    with transaction() as session:
        mailing = session.get_one(Mailing, mailing.id)
        mailing.not_before = utc_now() + datetime.timedelta(hours=1)
        control.set_speed(session, mailing.id, 500)
    assert (_fresh().per_hour, _fresh().not_before) == (500, None)
    with transaction() as session:
        control.set_speed(session, mailing.id, None)
    assert _fresh().per_hour is None
    for wrong in (0, -1, control.FASTEST + 1):
        with pytest.raises(InvalidError, match="whole number"), transaction() as session:
            control.set_speed(session, mailing.id, wrong)
    with transaction() as session:
        control.cancel(session, mailing.id, utc_now())
    with pytest.raises(ConflictError, match="cancelled"), transaction() as session:
        control.set_speed(session, mailing.id, 5)


def test_those_who_failed_for_the_chosen_classes_are_planned_again_and_the_run_is_open(app_on_each: Flask) -> None:
    mailing = _sent([ACCEPTED, DEAD, BLOCKED, DEAD, UNREAD, BLOCKED])
    assert (mailing.state, _run().state) == (MailingState.FINISHED, RunState.SENT)
    assert control.failed_by_class(db.session(), mailing.id) == {Failure.READER: 2, Failure.REPUTATION: 2}
    stamp, offered = mailing.stamp, db.session.scalars(select(Delivery.offered_at).order_by(Delivery.id)).all()
    with transaction() as session:
        assert control.resend_failed(session, mailing.id, [Failure.REPUTATION], utc_now()) == 2
    assert world.states(db.session()) == {"planned": 2, "accepted": 1, "failed": 2, "unknown": 1}
    assert (_fresh().state, _fresh().stamp, _run().state) == (MailingState.SENDING, stamp, RunState.SENDING)
    again = db.session.scalars(select(Delivery).where(Delivery.state == DeliveryState.PLANNED)).all()
    assert {(one.reason, one.failure, one.reply_code, one.reply_text, one.settled_at) for one in again} == {
        (None, None, None, None, None)
    }
    assert [one.offered_at for one in again] == [offered[2], offered[5]]  # the same Date, as the Message-ID
    ready = db.session.scalars(select(Chunk.id).where(Chunk.state == ChunkState.READY)).all()
    assert {one.chunk_id for one in again} == set(ready)
    with transaction() as session:  # the second click
        assert control.resend_failed(session, mailing.id, [Failure.REPUTATION], utc_now()) == 0
    assert world.states(db.session())["planned"] == 2


def test_who_cannot_be_mailed_any_more_is_not_planned_again(app_on_each: Flask) -> None:
    mailing = _sent([DEAD] * 7)
    with transaction() as session:
        session.add(Suppression(hash="a1", reason=Why.OPERATOR, created_at=utc_now()))
        session.execute(update(Subscriber).where(Subscriber.id == 2).values(paused_at=utc_now()))
        session.execute(
            update(Subscription)
            .where(Subscription.subscriber_id == 3)
            .values(state=SubscriptionState.ENDED, ended_at=utc_now())
        )
        session.execute(update(Subscription).where(Subscription.subscriber_id == 4).values(cadence_id=2))
        session.execute(delete(Subscription).where(Subscription.subscriber_id == 5))
        session.execute(delete(Subscriber).where(Subscriber.id == 5))
        session.execute(update(Subscriber).where(Subscriber.id == 6).values(confirmed_at=None))
    with transaction() as session:
        assert control.resend_failed(session, mailing.id, list(Failure), utc_now()) == 1
    (again,) = db.session.scalars(select(Delivery).where(Delivery.state == DeliveryState.PLANNED)).all()
    assert again.subscriber_id == 7
    assert world.states(db.session()) == {"planned": 1, "failed": 6}


def test_colleagues_copies_and_mails_that_could_not_be_made_are_a_choice_like_others(app_on_each: Flask) -> None:
    mailing = _sent([Outcome(Verdict.UNSENDABLE, None, "no message"), DEAD])
    with transaction() as session:
        session.execute(
            update(Delivery)
            .where(Delivery.failure == Failure.READER)
            .values(subscriber_id=None, copy_address="editor@gazette.example.org")
        )
    assert control.failed_by_class(db.session(), mailing.id) == {None: 1, Failure.READER: 1}
    with transaction() as session:
        assert control.resend_failed(session, mailing.id, [], utc_now()) == 0
        assert control.resend_failed(session, mailing.id, [None], utc_now()) == 1
        assert control.resend_failed(session, mailing.id, [Failure.READER], utc_now()) == 1


def test_very_many_are_resent_in_chunks(app_on_each: Flask) -> None:
    mailing = _sent([DEAD] * 2300)
    with transaction() as session:
        assert control.resend_failed(session, mailing.id, [Failure.READER], utc_now()) == 2300
    assert len(db.session.scalars(select(Chunk.id).where(Chunk.state == ChunkState.READY)).all()) == 3
    assert world.states(db.session()) == {"planned": 2300}


def test_temporary_errors_of_what_is_resent_are_retried_as_long_as_at_first(app: Flask) -> None:
    mailing = _sent([DEAD])
    later = utc_now() + datetime.timedelta(days=3)
    with transaction() as session:
        control.resend_failed(session, mailing.id, [Failure.READER], later)
    assert _fresh().give_up_at == later + planning.GIVE_UP[mailing.kind]


def test_what_is_paused_stays_paused_and_what_is_cancelled_or_no_run_is_not_resent(app: Flask) -> None:
    mailing = _sent([DEAD, DEAD])
    with transaction() as session:
        control.resend_failed(session, mailing.id, [Failure.READER], utc_now())
        control.pause(session, mailing.id)
        session.execute(update(Delivery).where(Delivery.subscriber_id == 1).values(state=DeliveryState.FAILED))
        session.execute(update(Delivery).where(Delivery.subscriber_id == 1).values(failure=Failure.READER))
        count(session, {(mailing.id, DeliveryState.PLANNED, DeliveryState.FAILED): 1})
        assert control.resend_failed(session, mailing.id, [Failure.READER], utc_now()) == 1
        assert session.get_one(Mailing, mailing.id, populate_existing=True).state is MailingState.PAUSED
        control.cancel(session, mailing.id, utc_now())
    with pytest.raises(ConflictError, match="cancelled"), transaction() as session:
        control.resend_failed(session, mailing.id, [Failure.READER], utc_now())
    with transaction() as session:
        other = planning._mailing(session, MailingKind.CONFIRMATIONS, utc_now())
    with pytest.raises(ConflictError, match="Only digests"), transaction() as session:
        control.resend_failed(session, other.id, [Failure.READER], utc_now())


def test_unknown_ones_of_one_mailing_are_settled_alone(app: Flask) -> None:
    mailing = _sent([UNREAD, UNREAD, ACCEPTED])
    with transaction() as session:
        assert control.settle_unknown(session, None, Settlement.LEAVE, utc_now(), mailing_id=mailing.id + 1) == 0
        assert control.settle_unknown(session, None, Settlement.LEAVE, utc_now(), mailing_id=mailing.id) == 2


def test_counters_that_disagree_with_the_rows_are_noticed_and_set_right(app_on_each: Flask) -> None:
    mailing = _sent([ACCEPTED, DEAD, UNREAD])
    assert balancing.counts_balance(db.session(), mailing.id)
    with transaction() as session:
        session.execute(update(Mailing).values(accepted=2, unknown=0))
        assert not balancing.counts_balance(session, mailing.id)
        balancing.recount(session, mailing.id)
        assert balancing.counts_balance(session, mailing.id)
    assert world.states(db.session()) == {"accepted": 1, "failed": 1, "unknown": 1}
    with transaction() as session:
        recovery.plan_again(
            session, mailing.id, list(session.scalars(select(Delivery.id))), DeliveryState.UNKNOWN, utc_now(), bulk=True
        )
        assert balancing.counts_balance(session, mailing.id)
