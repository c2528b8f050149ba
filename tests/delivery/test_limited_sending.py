"""Limits at work: the engine with the real throttle, a sink that counts, and an answer that asks for less."""

import datetime
import itertools
from pathlib import Path

from flask import Flask
from sqlalchemy import select

from newsletter.delivery.host_limits import set_host_limit
from newsletter.delivery.models import Delivery, DeliveryState, MailHost, Mailing, Slowdown
from newsletter.delivery.throttling import Throttle
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from tests.delivery import world
from tests.delivery.sink import Sink


def test_who_must_wait_for_their_hosts_is_deferred_each_to_a_time_of_their_own(
    app_on_each: Flask, tmp_path: Path
) -> None:
    world.build(40)
    world.start()
    begun = utc_now()
    with transaction() as session:
        set_host_limit(session, "example.org", begun, per_hour=100)
    with Sink() as sink:
        engine = world.engine(app_on_each, tmp_path / "j", sink.port, throttle=Throttle(app_on_each, "host:1:a"))
        assert engine.run(bulk=True, seconds=30).sent == 1
        engine.close()
    assert len(sink.messages) == 1
    assert world.states(db.session()) == {"accepted": 1, "deferred": 39}
    query = select(Delivery).where(Delivery.state == DeliveryState.DEFERRED).order_by(Delivery.id)
    waiting = db.session.scalars(query).all()
    times = [(one.retry_at or begun) for one in waiting]
    apart = {round((after - before).total_seconds()) for before, after in itertools.pairwise(times)}
    assert apart == {36}
    assert {one.attempts for one in waiting} == {0}, "to wait is no attempt"


def test_a_mailings_own_speed_holds_and_the_mailing_waits(app_on_each: Flask, tmp_path: Path) -> None:
    world.build(9)
    world.start()
    with transaction() as session:
        mailing = session.scalars(select(Mailing)).one()
        mailing.per_hour = 100
    with Sink() as sink:
        engine = world.engine(app_on_each, tmp_path / "j", sink.port, throttle=Throttle(app_on_each, "host:1:a"))
        assert engine.run(bulk=True, seconds=30).sent == 1
        engine.close()
    assert world.states(db.session()) == {"accepted": 1, "planned": 8}
    until = db.session.scalar(select(Mailing.not_before))
    assert until is not None
    assert until > utc_now() + datetime.timedelta(seconds=20), "no worker is kept busy with waiting"


def test_an_answer_that_speaks_of_our_rate_stops_mail_to_those_hosts(app_on_each: Flask, tmp_path: Path) -> None:
    world.build(12)
    world.start()
    with transaction() as session:
        session.add(MailHost(domain="example.org", host_group="google.com", looked_up_at=utc_now()))
    too_much = b"450 4.7.28 Our system has detected an unusual rate of mail"
    with Sink(lambda step, _recipient: too_much if step == "rcpt" else None) as sink:
        engine = world.engine(app_on_each, tmp_path / "j", sink.port, throttle=Throttle(app_on_each, "host:1:a"))
        engine.run(bulk=True, seconds=30)
        engine.close()
    slowdown = db.session.scalars(select(Slowdown)).one()
    assert slowdown.key == "hosts:google.com"
    assert slowdown.stopped_until is not None
    assert slowdown.stopped_until > utc_now() + datetime.timedelta(minutes=9)
