"""The engine with the real ledger, a real connection and a sink: what is sent, what is recorded, what is not sent."""

import datetime
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select, update

from newsletter.audience.models import Cadence, Subscriber, Subscription, SubscriptionState, Suppression
from newsletter.audience.models import SuppressionReason as Why
from newsletter.delivery import control, recovery
from newsletter.delivery.control import Settlement
from newsletter.delivery.models import (
    FROM_SETTINGS,
    Chunk,
    Delivery,
    DeliveryState,
    Mailing,
    MailingState,
    Reason,
    RelayState,
)
from newsletter.digests.models import RunState
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.errors import ConflictError
from newsletter.publication.models import Publication
from tests.delivery import world
from tests.delivery.sink import DROP, DROP_AFTER, Sink

HOUR = datetime.timedelta(hours=1)


def test_each_reader_gets_one_message_and_each_is_recorded(app_on_each: Flask, tmp_path: Path) -> None:
    world.build(250)
    run = world.start()
    with Sink() as sink:
        engine = world.engine(app_on_each, tmp_path / "j", sink.port)
        assert engine.run(bulk=True, seconds=30).sent == 250
        engine.close()
    assert sorted(sink.recipients) == sorted(f"r{n}@example.org" for n in range(1, 251))
    assert world.states(db.session()) == {"accepted": 250}
    db.session.refresh(run)
    assert run.state is RunState.SENT
    assert sink.connections == 3, "connections stay open"
    identities = {content.split(b"Message-ID: ")[1].split(b"\r\n")[0] for _, _, content in sink.messages}
    assert len(identities) == 250
    assert len({sender for sender, _, _ in sink.messages}) == 250, "each has its own return path"


@pytest.mark.parametrize("words", [b"2.0.0 Ok\0 queued", b"2.0.0 \x1b[2J\xff\xed\xa0\x80 as 1", b"\0"])
def test_a_relay_that_talks_rubbish_is_told_apart_all_the_same(
    app_on_each: Flask, tmp_path: Path, words: bytes
) -> None:
    """PostgreSQL stores no NUL, and the journal ends at one."""
    world.build(30)
    world.start()

    def script(step: str, recipient: str) -> bytes | None:
        if step == "rcpt" and recipient.startswith("r7@"):
            return b"550 5.1.1 no such " + words
        return b"250 " + words if step == "dot" else None

    with Sink(script) as sink:
        engine = world.engine(app_on_each, tmp_path / "j", sink.port)
        assert engine.run(bulk=True, seconds=30).sent == 29
        engine.close()
    assert world.states(db.session()) == {"accepted": 29, "failed": 1}


def test_the_same_trigger_twice_sends_once(app_on_each: Flask, tmp_path: Path) -> None:
    world.build(5)
    assert world.start("same").id == world.start("same").id
    with Sink() as sink:
        engine = world.engine(app_on_each, tmp_path / "j", sink.port)
        engine.run(bulk=True, seconds=10)
        assert world.start("another").state is RunState.SKIPPED, "nothing new since"
        engine.run(bulk=True, seconds=10)
        engine.close()
    assert len(sink.messages) == 5


def test_who_left_paused_or_was_suppressed_after_planning_gets_nothing(app_on_each: Flask, tmp_path: Path) -> None:
    world.build(4)
    world.start()
    now = utc_now()
    with transaction() as session:
        session.execute(
            update(Subscription)
            .where(Subscription.subscriber_id == 1)
            .values(state=SubscriptionState.ENDED, ended_at=now, mark=3)
        )
        session.execute(update(Subscriber).where(Subscriber.id == 2).values(paused_at=now))
        session.add(Suppression(hash="a3", reason=Why.NOT_ME, created_at=now))
    with Sink() as sink:
        engine = world.engine(app_on_each, tmp_path / "j", sink.port)
        engine.run(bulk=True, seconds=10)
        engine.close()
    assert sink.recipients == ["r4@example.org"]
    assert world.states(db.session()) == {"accepted": 1, "skipped": 3}
    reasons = db.session.scalars(select(Delivery.reason).order_by(Delivery.subscriber_id)).all()
    assert reasons == [Reason.LEFT, Reason.PAUSED, Reason.SUPPRESSED, None]


def test_a_refused_reader_is_never_offered_again_and_a_deferred_one_is(app_on_each: Flask, tmp_path: Path) -> None:
    world.build(3)
    world.start()
    answers = {"r1@example.org": b"550 5.1.1 no such user <r1@example.org>", "r2@example.org": b"451 4.7.1 greylisted"}
    with Sink(script=lambda step, who: answers.get(who) if step == "rcpt" else None) as sink:
        engine = world.engine(app_on_each, tmp_path / "j", sink.port)
        engine.run(bulk=True, seconds=10)
        assert world.states(db.session()) == {"accepted": 1, "deferred": 1, "failed": 1}
        assert db.session.scalars(select(Mailing.state)).one() is MailingState.SENDING
        refused = db.session.scalars(select(Delivery).where(Delivery.state == DeliveryState.FAILED)).one()
        assert (refused.reply_code, refused.reason) == (550, Reason.REFUSED)
        assert "r1@" not in str(refused.reply_text)
        answers.clear()
        with transaction() as session:
            assert recovery.regroup_due(session, utc_now()) == 0, "not due yet"
            session.execute(update(Delivery).values(retry_at=utc_now()))  # time goes by
            assert recovery.regroup_due(session, utc_now()) == 1
        engine.run(bulk=True, seconds=10)
        engine.close()
    assert world.states(db.session()) == {"accepted": 2, "failed": 1}
    assert sink.recipients == ["r3@example.org", "r2@example.org"]
    assert db.session.scalars(select(Mailing.state)).one() is MailingState.FINISHED


def test_temporary_errors_are_given_up_in_the_end(app: Flask, tmp_path: Path) -> None:
    world.build(1)
    world.start()
    with transaction() as session:
        session.execute(update(Mailing).values(give_up_at=utc_now()))
    with Sink(script=lambda step, _: b"451 later" if step == "rcpt" else None) as sink:
        engine = world.engine(app, tmp_path / "j", sink.port)
        engine.run(bulk=True, seconds=10)
        engine.close()
    assert db.session.scalars(select(Delivery.reason)).one() is Reason.GAVE_UP


@pytest.mark.parametrize("arrived", [DROP, DROP_AFTER])
def test_a_reply_that_never_came_is_unknown_and_a_digest_is_not_sent_again_by_itself(
    app_on_each: Flask, tmp_path: Path, arrived: bytes
) -> None:
    world.build(20)
    run = world.start()
    with Sink(script=lambda step, who: arrived if step == "dot" and who == "r7@example.org" else None) as sink:
        engine = world.engine(app_on_each, tmp_path / "j", sink.port)
        engine.run(bulk=True, seconds=10)
        with transaction() as session:
            recovery.regroup_due(session, utc_now() + HOUR)
            recovery.resend_unknown_confirmations(session, utc_now() + HOUR)
        engine.run(bulk=True, seconds=10)
        engine.close()
    assert world.states(db.session()) == {"accepted": 19, "unknown": 1}
    assert len(sink.recipients) == (20 if arrived == DROP_AFTER else 19)
    assert len(set(sink.recipients)) == len(sink.recipients)
    db.session.refresh(run)
    assert run.state is RunState.SENT


def test_an_operator_resends_an_unknown_one_with_the_same_message_id(app_on_each: Flask, tmp_path: Path) -> None:
    world.build(1)
    run = world.start()
    dropping = [True]

    def script(step: str, _: str) -> bytes | None:
        return DROP_AFTER if step == "dot" and dropping else None

    with Sink(script=script) as sink:
        engine = world.engine(app_on_each, tmp_path / "j", sink.port)
        engine.run(bulk=True, seconds=10)
        dropping.clear()
        with transaction() as session:
            assert control.settle_unknown(session, None, Settlement.RESEND, utc_now()) == 1
            assert session.get_one(type(run), run.id).state is RunState.SENDING
        engine.run(bulk=True, seconds=10)
        engine.close()
    first, second = (content for _, _, content in sink.messages)
    assert first == second
    assert world.states(db.session()) == {"accepted": 1}


def test_an_unknown_one_that_is_left_stays_unknown_and_asks_no_more(app: Flask, tmp_path: Path) -> None:
    world.build(1)
    world.start()
    with Sink(script=lambda step, _: DROP if step == "dot" else None) as sink:
        engine = world.engine(app, tmp_path / "j", sink.port)
        engine.run(bulk=True, seconds=10)
        engine.close()
    with transaction() as session:
        assert control.settle_unknown(session, None, Settlement.LEAVE, utc_now()) == 1
        assert control.settle_unknown(session, None, Settlement.RESEND, utc_now()) == 0
    assert world.states(db.session()) == {"unknown": 1}


def test_a_relay_that_is_away_costs_no_attempt_and_sending_goes_on_by_itself(
    app_on_each: Flask, tmp_path: Path
) -> None:
    world.build(10)
    world.start()
    with Sink() as sink:
        port = sink.port
    engine = world.engine(app_on_each, tmp_path / "j", port)
    assert engine.run(bulk=True, seconds=5).sent == 0
    assert world.states(db.session()) == {"planned": 10}
    state = db.session.get_one(RelayState, FROM_SETTINGS, populate_existing=True)
    assert "cannot connect" in state.last_error
    assert set(db.session.scalars(select(Delivery.attempts))) == {0}
    with transaction() as session:  # time goes by
        session.execute(update(RelayState).values(paused_until=utc_now()))
        session.execute(update(Chunk).values(not_before=utc_now()))
    with Sink(port=port) as sink:
        assert engine.run(bulk=True, seconds=10).sent == 10
        engine.close()


def test_a_relay_that_refuses_us_marks_no_reader(app_on_each: Flask, tmp_path: Path) -> None:
    world.build(30)
    world.start()
    with Sink(script=lambda step, _: b"550 5.7.1 sender blocked" if step == "mail" else None) as sink:
        engine = world.engine(app_on_each, tmp_path / "j", sink.port)
        engine.run(bulk=True, seconds=5)
        engine.close()
    assert world.states(db.session()) == {"planned": 30}
    assert "550" in db.session.get_one(RelayState, FROM_SETTINGS, populate_existing=True).last_error


def test_a_paused_mailing_waits_and_a_cancelled_one_ends(app_on_each: Flask, tmp_path: Path) -> None:
    world.build(5)
    run = world.start()
    mailing_id = db.session.scalars(select(Mailing.id)).one()
    with transaction() as session:
        control.pause(session, mailing_id)
    with Sink() as sink:
        engine = world.engine(app_on_each, tmp_path / "j", sink.port)
        assert engine.run(bulk=True, seconds=5).sent == 0
        with transaction() as session:
            control.resume(session, mailing_id, utc_now())
            control.cancel(session, mailing_id, utc_now())
        with transaction() as session, pytest.raises(ConflictError):
            control.resume(session, mailing_id, utc_now())
        assert engine.run(bulk=True, seconds=5).sent == 0
        engine.close()
    assert world.states(db.session()) == {"skipped": 5}
    db.session.refresh(run)
    assert run.state is RunState.CANCELLED


def test_colleagues_get_a_copy_that_is_marked(app_on_each: Flask, tmp_path: Path) -> None:
    world.build(2)
    with transaction() as session:
        session.get_one(Cadence, 1).copies = ["desk@gazette.example.org"]
    world.start()
    with Sink() as sink:
        engine = world.engine(app_on_each, tmp_path / "j", sink.port)
        engine.run(bulk=True, seconds=5)
        engine.close()
    assert "desk@gazette.example.org" in sink.recipients
    assert len(sink.recipients) == 3


def test_an_incomplete_publication_sends_nothing_and_says_why(app: Flask, tmp_path: Path) -> None:
    world.build(2)
    world.start()
    with transaction() as session:
        session.get_one(Publication, 1).postal_address = ""
    with Sink() as sink:
        engine = world.engine(app, tmp_path / "j", sink.port)
        engine.run(bulk=True, seconds=5)
        engine.close()
    assert sink.messages == []
    assert world.states(db.session()) == {"planned": 2}
    assert "postal address" in db.session.scalars(select(Mailing.paused_because)).one()


def test_a_name_that_cannot_be_composed_fails_alone(app: Flask, tmp_path: Path) -> None:
    world.build(3)
    world.start()
    with transaction() as session:
        session.execute(update(Subscriber).where(Subscriber.id == 2).values(address="not an address"))
    with Sink() as sink:
        engine = world.engine(app, tmp_path / "j", sink.port)
        engine.run(bulk=True, seconds=5)
        engine.close()
    assert world.states(db.session()) == {"accepted": 2, "failed": 1}


def test_a_relay_that_closes_after_each_message_is_reconnected_at_once(app: Flask, tmp_path: Path) -> None:
    world.build(6)
    world.start()
    with Sink(
        script=lambda step, _: b"421 4.7.0 enough for one connection" if step == "mail" and closing() else None
    ) as sink:
        count = iter(range(100))

        def closing() -> bool:
            return next(count) % 3 == 2

        engine = world.engine(app, tmp_path / "j", sink.port, connections=1)
        engine.run(bulk=True, seconds=5)
        engine.close()
    assert world.states(db.session()) == {"accepted": 6}
    assert sink.connections > 1
