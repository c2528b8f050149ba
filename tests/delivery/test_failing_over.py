"""The engine as a worker makes it, with relays that operators added: routed, failed over, stopped in time."""

from functools import partial
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select, update

from newsletter.delivery import control, recovery, relay_views, relays
from newsletter.delivery.engine import Engine
from newsletter.delivery.journal import Journal
from newsletter.delivery.models import Delivery, Mailing, MailingState, RelayState, Tls
from newsletter.delivery.relay_terms import Terms
from newsletter.delivery.relays import Health
from newsletter.digests.models import Run, RunState
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.services import services
from newsletter.operators import alarms
from newsletter.tasks import engines
from tests.delivery import world
from tests.delivery.sink import Sink

OWNER = "host:1:a"


def _engine(app: Flask, folder: Path) -> Engine:
    return Engine(engines.desk(app, OWNER), partial(Journal, folder, OWNER))


def _relay(name: str, port: int, weight: int = 1, streams: tuple[str, ...] = ()) -> int:
    terms = Terms(name, "127.0.0.1", port, Tls.OPPORTUNISTIC, weight=weight, connections=2, streams=streams)
    with transaction() as session:
        return relays.add(session, terms, "", services().vault, utc_now()).id


def _send(engine: Engine, slices: int = 6) -> None:
    for _ in range(slices):
        with transaction() as session:  # the seconds that a pause or a relay's absence lasts go by
            session.execute(update(Mailing).values(not_before=None))
        engine.run(bulk=True, seconds=10)


def _mailing() -> Mailing:
    db.session.commit()
    return db.session.scalars(select(Mailing).execution_options(populate_existing=True)).one()


def test_when_a_relay_is_away_the_next_one_takes_over_and_the_delivery_names_it(
    app_on_each: Flask, tmp_path: Path
) -> None:
    world.build(60)
    world.start()
    with Sink() as gone:
        port = gone.port
    away = _relay("away", port, weight=1000)
    with Sink() as sink:
        spare = _relay("spare", sink.port, weight=0)
        engine = _engine(app_on_each, tmp_path / "j")
        _send(engine)
        engine.close()
        assert len(sink.messages) == 60
    assert world.states(db.session()) == {"accepted": 60}
    assert set(db.session.scalars(select(Delivery.relay_id))) == {spare}
    assert set(db.session.scalars(select(Delivery.attempts))) == {1}
    assert db.session.get_one(RelayState, away, populate_existing=True).failures > 0
    assert relay_views.one(db.session(), spare, utc_now()).last_accepted_at is not None


def test_mail_goes_through_the_relay_that_is_kept_for_it(app: Flask, tmp_path: Path) -> None:
    world.build(20)
    world.start()
    with Sink() as all_, Sink() as daily:
        _relay("all", all_.port, weight=1000)
        _relay("daily", daily.port, streams=("daily",))
        engine = _engine(app, tmp_path / "j")
        _send(engine, 2)
        engine.close()
        assert (len(all_.messages), len(daily.messages)) == (0, 20)


def test_mail_that_no_relay_takes_waits_untouched(app: Flask, tmp_path: Path) -> None:
    world.build(5)
    world.start()
    with Sink() as sink:
        relay_id = _relay("weekly", sink.port, streams=("weekly",))
        engine = _engine(app, tmp_path / "j")
        _send(engine, 2)
        assert world.states(db.session()) == {"planned": 5}
        with transaction() as session:
            terms = Terms.of(relays.get(session, relay_id))
            relays.edit(session, relay_id, Terms(**vars(terms) | {"streams": ()}), "", services().vault, utc_now())
        _send(engine, 2)
        engine.close()
    assert world.states(db.session()) == {"accepted": 5}


@pytest.mark.parametrize("answer", [b"550 5.7.26 unauthenticated email", b"554 5.7.1 blocked as unsolicited mail"])
def test_a_digest_pauses_when_providers_begin_to_refuse_us_and_goes_on_when_told(
    app_on_each: Flask, tmp_path: Path, answer: bytes
) -> None:
    world.build(600)
    world.start()
    refuse = True

    def script(step: str, _recipient: str) -> bytes | None:
        return answer if step == "dot" and refuse and len(sink.messages) >= 50 else None

    with Sink(script=script) as sink:
        _relay("main", sink.port)
        engine = _engine(app_on_each, tmp_path / "j")
        _send(engine, 2)
        mailing = _mailing()
        assert mailing.state is MailingState.PAUSED
        assert answer.decode().partition(" ")[0] in mailing.paused_because
        assert mailing.accepted >= 50
        assert mailing.failed == 0, "no reader is blamed"
        assert mailing.planned > 0, "it stops before all are through"
        assert any("has paused" in alarm.text for alarm in alarms.standing(db.session()))
        refuse = False
        with transaction() as session:
            control.resume(session, mailing.id, utc_now())
            session.execute(update(RelayState).values(held_at=None, paused_until=None))
            session.execute(update(Delivery).where(Delivery.retry_at.is_not(None)).values(retry_at=utc_now()))
            recovery.regroup_due(session, utc_now())
        _send(engine)
        engine.close()
    assert world.states(db.session()) == {"accepted": 600}
    assert db.session.scalars(select(Run).execution_options(populate_existing=True)).one().state is RunState.SENT


def test_a_wrong_password_ends_in_a_hold_and_marks_no_reader(app: Flask, tmp_path: Path) -> None:
    world.build(10)
    world.start()
    with Sink(script=lambda step, _: b"535 5.7.8 who are you" if step == "mail" else None) as sink:
        relay_id = _relay("main", sink.port)
        engine = _engine(app, tmp_path / "j")
        for _ in range(8):
            _send(engine, 1)
            with transaction() as session:
                session.execute(update(RelayState).values(paused_until=None))
        engine.close()
    assert relay_views.one(db.session(), relay_id, utc_now()).health is Health.HELD
    assert world.states(db.session()) == {"planned": 10}
    assert set(db.session.scalars(select(Delivery.attempts))) == {0}
    assert any("The relay main is held" in alarm.text for alarm in alarms.standing(db.session()))
