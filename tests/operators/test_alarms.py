"""Alarms ring once."""

from flask import Flask

from newsletter.foundation.db import transaction
from newsletter.operators import alarms
from tests.conftest import NOW


def test_an_alarm_is_raised_once_and_ends_once(app_on_each: Flask) -> None:
    with transaction() as session:
        assert alarms.sound(session, "late:daily:2026-11-23", "The daily digest is late.", NOW)
        assert not alarms.sound(session, "late:daily:2026-11-23", "The daily digest is late.", NOW)
        alarms.sound(session, "relay", "The relay refuses us.", NOW)
        assert len(alarms.standing(session)) == 2
        alarms.end(session, "relay", NOW)
        (late,) = alarms.standing(session)
        alarms.dismiss(session, late.id, NOW)
        assert not alarms.standing(session)


def test_what_was_seen_does_not_ring_again(app_on_each: Flask) -> None:
    with transaction() as session:
        alarms.sound(session, "late:daily:2026-11-23", "The daily digest is late.", NOW)
        alarms.dismiss(session, alarms.standing(session)[0].id, NOW)
        assert not alarms.sound(session, "late:daily:2026-11-23", "The daily digest is late.", NOW)
        assert not alarms.standing(session)
