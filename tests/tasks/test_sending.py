"""Sending in slices: who goes on where nobody can hear that there is more."""

from pathlib import Path

import pytest
from flask import Flask
from kombu.exceptions import OperationalError
from sqlalchemy import select

from newsletter.audience.confirmation import new_confirmation
from newsletter.audience.consent import Client
from newsletter.audience.models import ConfirmationKind, Subscriber
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.queue import queue
from newsletter.foundation.settings import Settings
from newsletter.tasks import engines, ringing, sending
from tests.delivery import world
from tests.delivery.sink import Sink


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the bells that were to be rung while the broker is away."""
    tried: list[str] = []

    def refuse(task: str, **_: object) -> None:
        tried.append(task)
        raise OperationalError("Connection refused")

    monkeypatch.setattr(Settings, "embedded", False)
    monkeypatch.setattr(queue, "send_task", refuse)
    return tried


def test_bulk_whose_bell_nobody_takes_goes_on_and_lets_confirmations_overtake(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rung: list[str]
) -> None:
    monkeypatch.setattr(sending, "_SLICE", 0.8)
    monkeypatch.setattr(sending, "_TURN", 0.8)
    world.build(90)
    world.start()
    with transaction() as session:
        who, now = session.scalars(select(Subscriber).limit(1)).one(), utc_now()
        new_confirmation(session, who.id, ConfirmationKind.ALREADY, wanted={}, source=Client(), now=now)
    with Sink(delay=0.1) as sink:
        engine = world.engine(app, tmp_path / "j", sink.port)
        monkeypatch.setattr(engines, "engine", lambda _: engine)
        sending.send_bulk()
        engine.close()
    assert world.states(db.session()) == {"accepted": 91}
    assert rung.count(ringing.SEND) > 1
    subjects = [b"Subject: You are already subscribed" in content for _, _, content in sink.messages]
    assert 0 < subjects.index(True) < 80
