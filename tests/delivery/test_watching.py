"""A relay's pause grows and ends by itself; a refused account ends in a hold that only an operator lifts."""

import datetime

import pytest
from flask import Flask

from newsletter.delivery import relay_views, watching
from newsletter.delivery.models import FROM_SETTINGS, RelayState
from newsletter.delivery.relays import Health
from newsletter.delivery.replies import Outcome, Verdict
from newsletter.delivery.watching import FIRST_PAUSE, LONGEST_PAUSE, MOST_REFUSALS, RelayWatch
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.errors import ConflictError, NotFoundError
from newsletter.operators import alarms
from tests.conftest import NOW

AWAY = Outcome(Verdict.UNSENT, None, "connection refused")
LATER = Outcome(Verdict.TEMPORARY, 421, "4.3.2 closing")
WRONG = Outcome(Verdict.OURS, 535, "5.7.8 authentication failed")
R = FROM_SETTINGS


def _trouble(problem: Outcome, times: int, now: datetime.datetime = NOW) -> list[float]:
    """Meet the problem at each next try, and return the seconds between them."""
    waits = []
    for _ in range(times):
        with transaction() as session:
            until = watching.trouble(session, R, problem, now)
        waits.append((until - now).total_seconds())
        now = until
    return waits


def _state() -> RelayState:
    db.session.commit()
    return db.session.get_one(RelayState, R, populate_existing=True)


def test_the_pause_doubles_up_to_five_minutes_and_is_never_a_hold_while_the_relay_is_away(app: Flask) -> None:
    assert _trouble(AWAY, 20)[:9] == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert _trouble(LATER, 20)[-1] == LONGEST_PAUSE.total_seconds()
    assert _state().held_at is None


def test_what_many_workers_meet_at_once_counts_once(app: Flask) -> None:
    for problem in (AWAY, AWAY, WRONG):
        with transaction() as session:
            assert watching.trouble(session, R, problem, NOW) == NOW + FIRST_PAUSE
    assert (_state().failures, _state().refusals) == (1, 0)
    assert _state().last_error == "535 5.7.8 authentication failed"


def test_an_account_that_is_refused_again_and_again_is_held_with_one_alarm(app: Flask) -> None:
    _trouble(WRONG, MOST_REFUSALS - 1)
    _trouble(AWAY, 1, NOW + datetime.timedelta(hours=1))  # what is away refuses nobody
    _trouble(WRONG, MOST_REFUSALS - 1, NOW + datetime.timedelta(hours=2))
    assert _state().held_at is None
    _trouble(WRONG, 1, NOW + datetime.timedelta(hours=3))
    view = relay_views.one(db.session(), R, NOW + datetime.timedelta(days=1))
    assert view.health is Health.HELD
    assert "refused our account or our host 8 times in a row" in view.sentence
    assert "535 5.7.8" in view.sentence
    _trouble(WRONG, 3, NOW + datetime.timedelta(hours=4))  # what was on the wire
    (alarm,) = alarms.standing(db.session())
    assert alarm.text.startswith("The relay of the settings is held. It refused")


def test_resuming_begins_anew_and_ends_the_alarm(app: Flask) -> None:
    _trouble(WRONG, MOST_REFUSALS)
    with transaction() as session:
        watching.resume(session, R, NOW)
    assert relay_views.one(db.session(), R, NOW).health is Health.READY
    assert alarms.standing(db.session()) == []
    later = NOW + datetime.timedelta(hours=1)
    assert _trouble(WRONG, MOST_REFUSALS, later)[0] == 5
    assert len(alarms.standing(db.session())) == 1
    with transaction() as session:
        watching.resume(session, R, later)
    with pytest.raises(ConflictError), transaction() as session:
        watching.resume(session, R, later)


def test_a_pause_can_be_cut_short(app: Flask) -> None:
    _trouble(AWAY, 5)
    with transaction() as session:
        watching.resume(session, R, NOW)
    assert (_state().paused_until, _state().failures) == (None, 0)


def test_an_operators_hold_raises_no_alarm_and_outlives_what_was_on_the_wire(app: Flask) -> None:
    with transaction() as session:
        assert watching.hold(session, R, NOW)
        assert not watching.hold(session, R, NOW)
        watching.well(session, R, NOW)
    assert relay_views.one(db.session(), R, NOW).sentence.endswith("An operator wanted it so.")
    assert alarms.standing(db.session()) == []


def test_a_relay_that_is_not_there_has_no_state(app: Flask) -> None:
    with pytest.raises(NotFoundError), transaction() as session:
        watching.hold(session, 77, NOW)


def test_a_process_notes_trouble_at_once_and_success_now_and_then(app_on_each: Flask) -> None:
    watch = RelayWatch(app_on_each)
    assert not watch.paused(R)
    assert watch.note(R, None, accepted=0) is None
    assert db.session.get(RelayState, R) is None
    until = watch.note(R, AWAY, accepted=3)
    assert until is not None
    assert until > utc_now()
    assert watch.paused(R)
    assert watch.note(R, None, accepted=1) is None
    assert not watch.paused(R)
    first = _state().last_accepted_at
    watch.note(R, None, accepted=1)
    assert _state().last_accepted_at == first
