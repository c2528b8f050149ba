"""The pump: what is taken back, who waits for a limit, how it ends, what it does when the ledger cannot be reached."""

import datetime
import errno
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from newsletter.audience.models import Subscriber
from newsletter.delivery import control, marking, planning
from newsletter.delivery import relays as relay_rows
from newsletter.delivery.composing_runs import RunComposer
from newsletter.delivery.endpoints import Endpoint
from newsletter.delivery.journal import Journal
from newsletter.delivery.ledger import Ledger
from newsletter.delivery.limits import Grant
from newsletter.delivery.models import Chunk, ChunkState, Delivery, DeliveryState, Mailing, RelayState, Tls
from newsletter.delivery.relay_terms import Terms
from newsletter.digests.models import RunState
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.services import services
from newsletter.mail.shapes import Message
from tests.delivery import world
from tests.delivery.sink import DROP, Sink


class Portions(world.Free):
    """A throttle that grants what it has, then asks to wait."""

    def __init__(self, left: int, wait: float) -> None:
        super().__init__()
        self.left, self.wait = left, wait

    def ask(self, relay_id: int, mailing_id: int, per_hour: int | None, wanted: int, *, bulk: bool) -> Grant:
        granted = min(wanted, self.left)
        self.left -= granted
        return Grant(granted, 0.0 if granted == wanted else self.wait)

    def give_back(self, relay_id: int, mailing_id: int, per_hour: int | None, unused: int) -> None:
        self.left += unused


def test_what_could_not_leave_soon_is_taken_back_and_leaves_later_once(app_on_each: Flask, tmp_path: Path) -> None:
    world.build(40)
    world.start()
    with Sink(delay=0.9) as sink:
        engine = world.engine(app_on_each, tmp_path / "j", sink.port, connections=2)
        sent = engine.run(bulk=True, seconds=2).sent
        assert 0 < sent < 40
        assert world.states(db.session()) == {"accepted": sent, "planned": 40 - sent}, "nothing stays half done"
        sink.delay = 0
        while engine.run(bulk=True, seconds=5).sent:
            pass
        engine.close()
    assert world.states(db.session()) == {"accepted": 40}
    assert len(sink.recipients) == len(set(sink.recipients)) == 40


def test_who_waits_long_for_a_limit_keeps_no_chunk(app_on_each: Flask, tmp_path: Path) -> None:
    world.build(20)
    world.start()
    throttle = Portions(left=7, wait=36.0)
    with Sink() as sink:
        engine = world.engine(app_on_each, tmp_path / "j", sink.port, throttle=throttle)
        done = engine.run(bulk=True, seconds=20)
        assert (done.sent, done.more, done.wait) == (7, False, 36.0)
        assert world.states(db.session()) == {"accepted": 7, "planned": 13}
        assert db.session.scalars(select(Chunk.state)).all() == [ChunkState.READY]
        not_before = db.session.scalars(select(Mailing.not_before)).one()
        assert not_before is not None
        assert not_before > utc_now() + datetime.timedelta(seconds=20)
        assert engine.run(bulk=True, seconds=5).sent == 0, "nobody claims it before"
        throttle.left = 100
        with transaction() as session:
            session.execute(update(Mailing).values(not_before=utc_now()))
        assert engine.run(bulk=True, seconds=10).sent == 13
        engine.close()


def test_what_was_granted_and_not_used_is_given_back(app: Flask, tmp_path: Path) -> None:
    world.build(5)
    world.start()
    throttle = Portions(left=100, wait=36.0)
    with Sink() as sink:
        engine = world.engine(app, tmp_path / "j", sink.port, throttle=throttle)
        assert engine.run(bulk=True, seconds=10).sent == 5
        engine.close()
    assert throttle.left == 95


def test_a_process_that_is_to_end_gives_the_rest_back(app_on_each: Flask, tmp_path: Path) -> None:
    world.build(60)
    world.start()
    ended: list[str] = []

    def script(step: str, who: str) -> bytes | None:
        if step == "dot" and len(sink.messages) == 20:
            ended.append(who)
        return None

    with Sink(script=script) as sink:
        engine = world.engine(app_on_each, tmp_path / "j", sink.port, ending=lambda: bool(ended))
        done = engine.run(bulk=True, seconds=30)
        engine.close()
    states = world.states(db.session())
    assert states == {"accepted": done.sent, "planned": 60 - done.sent}
    assert 20 <= done.sent < 60
    assert len(sink.recipients) == done.sent
    assert list((tmp_path / "j").iterdir()) == [], "it leaves no journal"
    assert db.session.scalars(select(Chunk.state)).all() == [ChunkState.READY]


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("act", ["pause", "cancel"])
def test_pausing_and_cancelling_act_on_what_is_begun_but_not_sent(
    app_on_each: Flask, tmp_path: Path, act: str, signed: bool
) -> None:
    world.build(300)
    if signed:
        world.sign()
    run = world.start()
    mailing_id = db.session.scalars(select(Mailing.id)).one()
    db.session.commit()
    acted: list[int] = []

    def script(step: str, _who: str) -> bytes | None:
        if step == "dot" and len(sink.messages) == 30 and not acted:
            with app_on_each.app_context(), transaction() as session:
                if act == "pause":
                    control.pause(session, mailing_id)
                else:
                    control.cancel(session, mailing_id, utc_now())
            acted.append(len(sink.messages))
        return None

    with Sink(script=script, delay=0.02) as sink:
        engine = world.engine(app_on_each, tmp_path / "j", sink.port)
        sent = engine.run(bulk=True, seconds=30).sent
        engine.close()
    rest = "planned" if act == "pause" else "skipped"
    assert world.states(db.session()) == {"accepted": sent, rest: 300 - sent}
    assert sent < 250, "what was begun may leave, but no more is begun"
    db.session.refresh(run)
    assert run.state is (RunState.SENDING if act == "pause" else RunState.CANCELLED)


def test_a_relay_that_hangs_up_on_every_message_is_left_alone(app: Flask, tmp_path: Path) -> None:
    world.build(50)
    world.start()
    with Sink(script=lambda step, _: DROP if step == "mail" else None) as sink:
        engine = world.engine(app, tmp_path / "j", sink.port)
        assert engine.run(bulk=True, seconds=20).sent == 0
        engine.close()
    assert world.states(db.session()) == {"planned": 50}
    assert sink.connections < 40
    assert db.session.scalars(select(RelayState.paused_until)).one() is not None


LOST = OperationalError("update", {}, Exception("gone"))


class Shaky(Ledger):
    """A ledger whose database goes away at chosen calls."""

    failing: str = ""
    failures = 0

    def begin(self, lease, size, told, relay_id, sort_out=None):  # type: ignore[no-untyped-def]  # as the original
        group = super().begin(lease, size, told, relay_id, sort_out)
        if self.failing == "after begin" and self.failures < 2 and group.messages:
            self.failures += 1
            lease.open -= len(group.messages)
            from newsletter.delivery.ledger import NotBegunError

            raise NotBegunError(group.messages) from OperationalError("commit", {}, Exception("gone"))
        return group

    def settle(self, lease, told, relay_id):  # type: ignore[no-untyped-def]  # as the original
        if self.failing == "settle" and self.failures < 2 and told:
            self.failures += 1
            raise OperationalError("update", {}, Exception("gone"))
        super().settle(lease, told, relay_id)


@pytest.mark.parametrize("failing", ["after begin", "settle"])
def test_a_database_that_goes_away_loses_and_doubles_nothing(app_on_each: Flask, tmp_path: Path, failing: str) -> None:
    """After a commit whose answer was lost, nobody knows whether the group was begun; none of it was sent."""
    world.build(40)
    world.start()
    with Sink() as sink:
        engine = world.engine(app_on_each, tmp_path / "j", sink.port, ledger=Shaky)
        engine._desk.ledger.failing = failing  # type: ignore[attr-defined]  # the test's own ledger
        for _ in range(4):
            engine.run(bulk=True, seconds=6)
        engine.close()
    assert engine._desk.ledger.failures == 2  # type: ignore[attr-defined]  # the test's own ledger
    assert world.states(db.session()) == {"accepted": 40}
    assert len(sink.recipients) == len(set(sink.recipients)) == 40
    assert DeliveryState.UNKNOWN.value not in world.states(db.session())


@pytest.mark.parametrize(("fault", "traced"), [(ValueError, True), (LOST, False)], ids=["of ours", "of the network"])
def test_a_fault_of_ours_is_logged_whole(
    app: Flask, tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: Any, traced: bool
) -> None:
    """That the database is away passes by itself and needs no trace."""
    world.build(3)
    world.start()
    with Sink() as sink, mock.patch.object(marking, "send", side_effect=[fault, mock.DEFAULT], wraps=marking.send):
        engine = world.engine(app, tmp_path / "j", sink.port)
        engine.run(bulk=True, seconds=6)
        engine.close()
    assert world.states(db.session()) == {"accepted": 3}
    assert [bool(record.exc_info) for record in caplog.records if "cannot be reached" in record.message] == [traced]


def test_a_slice_goes_on_as_long_as_it_may_and_then_gives_the_rest_back(app: Flask, tmp_path: Path) -> None:
    world.build(60)
    world.start()
    asked: list[bool] = []

    def go_on() -> bool:
        asked.append(len(asked) < 2)
        return asked[-1]

    with Sink(delay=0.1) as sink:
        engine = world.engine(app, tmp_path / "j", sink.port, connections=2)
        done = engine.run(bulk=True, seconds=0.5, go_on=go_on)
        assert asked == [True, True, False]
        assert done.more
        assert 0 < done.sent < 60
        assert world.states(db.session()) == {"accepted": done.sent, "planned": 60 - done.sent}
        done = engine.run(bulk=True, seconds=0.5, go_on=lambda: True)
        assert not done.more
        engine.close()
    assert world.states(db.session()) == {"accepted": 60}


def test_a_pump_that_has_finished_takes_what_another_claims_for_it_in_the_same_slice(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second chunk goes to a slow relay; the third, for the first relay again, is ready when that one has ended."""
    monkeypatch.setattr(planning, "CHUNK", 5)
    world.build(15)
    world.start()
    with transaction() as session:
        last = session.scalars(select(Chunk).order_by(Chunk.id.desc())).first()
        assert last is not None
        last.not_before = utc_now() + datetime.timedelta(seconds=0.35)
    with Sink() as sink, Sink(delay=0.15) as slow:
        with transaction() as session:
            terms = Terms("Slow", "127.0.0.1", slow.port)
            other = relay_rows.add(session, terms, "", services().vault, utc_now()).id
        relays = [
            Endpoint("127.0.0.1", one.port, Tls.OPPORTUNISTIC, connections=1, id=number)
            for number, one in ((0, sink), (other, slow))
        ]
        turns = iter([relays[:1], relays[1:], relays[:1]])
        engine = world.engine(app, tmp_path / "j", sink.port, usable=lambda *_: next(turns, relays[:1]))
        done = engine.run(bulk=True, seconds=20)
        engine.close()
    assert (done.sent, done.more) == (15, False)
    assert slow.messages


def test_what_is_signed_is_made_beside_the_loop_and_what_cannot_be_made_fails_alone(app: Flask, tmp_path: Path) -> None:
    world.build(30)
    world.sign()
    world.start()
    with transaction() as session:
        session.execute(update(Subscriber).where(Subscriber.id == 2).values(address="not an address"))
    with Sink() as sink:
        engine = world.engine(app, tmp_path / "j", sink.port)
        assert engine.run(bulk=True, seconds=20).sent == 29
        engine.close()
    assert world.states(db.session()) == {"accepted": 29, "failed": 1}
    assert all(message.startswith(b"DKIM-Signature: ") for _, _, message in sink.messages)


@pytest.mark.parametrize("signed", [False, True])
def test_a_fault_of_ours_in_one_message_stops_no_other(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signed: bool
) -> None:
    whole = RunComposer._compose

    def broken(self: RunComposer, sheet: Any, delivery_id: int, subscriber_id: int, *more: Any) -> Message:
        if subscriber_id == 2:
            raise TypeError("a fault")
        return whole(self, sheet, delivery_id, subscriber_id, *more)

    monkeypatch.setattr(RunComposer, "_compose", broken)
    world.build(10)
    if signed:
        world.sign()
    world.start()
    with Sink() as sink:
        engine = world.engine(app, tmp_path / "j", sink.port)
        assert engine.run(bulk=True, seconds=20).sent == 9
        engine.close()
    assert world.states(db.session()) == {"accepted": 9, "failed": 1}
    assert "its log says more" in str(
        db.session.scalars(select(Delivery.reply_text).where(Delivery.state == DeliveryState.FAILED)).one()
    )


def test_a_journal_that_cannot_forget_costs_nothing(
    app_on_each: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget = Journal.forget
    failed: list[Journal] = []

    def fail_first(journal: Journal, dotted: Iterable[int]) -> None:
        if len(failed) < 2:
            failed.append(journal)
            raise OSError(errno.ENOSPC, "No space left on device")
        forget(journal, dotted)

    monkeypatch.setattr(Journal, "forget", fail_first)
    world.build(60)
    world.start()
    with Sink(delay=0.02) as sink:
        engine = world.engine(app_on_each, tmp_path / "j", sink.port)
        assert engine.run(bulk=True, seconds=20).sent == 60
        engine.close()
    assert len(failed) == 2
    assert world.states(db.session()) == {"accepted": 60}
    assert not list((tmp_path / "j").glob("*.journal"))
