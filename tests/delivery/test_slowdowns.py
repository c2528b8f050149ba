"""Slowing down and coming back, as decisions over values; and what many answers at once, or two workers, make of it."""

import datetime

import hypothesis.strategies as st
import pytest
from flask import Flask
from hypothesis import given

from newsletter.delivery import slowdowns
from newsletter.delivery.replies import Outcome, Phase, judge
from newsletter.delivery.slowdowns import LEAST, STOP, Standing, given_back, halved, stopped
from newsletter.foundation.db import db, transaction
from tests.conftest import NOW

SECOND = datetime.timedelta(seconds=1)
MINUTE = datetime.timedelta(minutes=1)


def test_each_answer_that_asks_for_less_halves_the_share() -> None:
    share, at, standing = [], NOW, None
    for _ in range(9):
        standing = halved(standing, at, "busy", 80.0)
        assert standing is not None
        share.append(standing.share)
        at += 10 * SECOND
    assert share == [0.5, 0.25, 0.125, 0.0625, 0.03125, LEAST, LEAST, LEAST, LEAST]
    assert standing is not None
    assert (standing.pace, standing.because) == (80.0, "busy")


def test_answers_to_what_was_on_the_wire_count_once() -> None:
    standing = halved(None, NOW, "busy", None)
    assert standing is not None
    assert halved(standing, NOW + 9 * SECOND, "busy", None) is None


def test_accepted_mail_gives_back_one_connection_a_minute() -> None:
    standing = halved(halved(None, NOW, "", 9.0), NOW + MINUTE, "", None)
    assert standing is not None
    at, shares = NOW + MINUTE, [standing.share]
    while standing.share < 1:
        assert given_back(standing, at + 59 * SECOND, 4) is None
        at += MINUTE
        standing = given_back(standing, at, 4)
        assert standing is not None
        shares.append(standing.share)
    assert shares == [0.25, 0.5, 0.75, 1.0]
    assert at == NOW + 4 * MINUTE
    assert standing.pace == 9.0


def test_too_high_a_rate_stops_for_ten_minutes_then_one_connection_then_one_more() -> None:
    """Standards S5, step by step."""
    standing = stopped(None, NOW, "421 4.7.28 rate", 50.0, 10)
    assert standing is not None
    assert standing.stopped_until == NOW + 10 * MINUTE
    assert standing.is_stopped(NOW + 10 * MINUTE - SECOND)
    assert not standing.is_stopped(NOW + 10 * MINUTE)
    assert stopped(standing, NOW + 9 * MINUTE, "", 1.0, 10) is None, "it stands"
    assert halved(standing, NOW + 9 * MINUTE, "", 1.0) is None
    assert given_back(standing, NOW + 9 * MINUTE, 10) is None, "what was on the wire was accepted"
    assert standing.share == pytest.approx(1 / 10)
    assert given_back(standing, NOW + 10 * MINUTE + 59 * SECOND, 10) is None
    resumed = given_back(standing, NOW + 11 * MINUTE, 10)
    assert resumed is not None
    assert resumed.share == pytest.approx(2 / 10)
    assert resumed.stopped_until is None
    again = stopped(resumed, NOW + 12 * MINUTE, "", None, 10)
    assert again is not None
    assert again.share == pytest.approx(1 / 10)
    assert (again.stopped_until, again.pace) == (NOW + 22 * MINUTE, 50.0)


def test_a_stop_never_makes_it_faster_afterwards() -> None:
    slow = Standing(LEAST, NOW)
    standing = stopped(slow, NOW + MINUTE, "", None, 10)
    assert standing is not None
    assert standing.share == LEAST


@pytest.mark.parametrize(
    ("code", "text", "stop"),
    [
        (421, "4.7.28 Our system has detected an unusual rate of mail", True),
        (450, "4.7.28 Too many", True),
        (550, "5.7.28 Our system has detected an unusual rate", True),
        (421, "4.7.0 Try again later", False),
        (451, "4.7.281 no such code", False),
        (550, "5.7.26 unauthenticated; see 5.7.28", False),
        (451, "greylisted", False),
    ],
)
def test_which_answers_stop(code: int, text: str, stop: bool) -> None:
    assert slowdowns.stops(judge(Phase.DOT, code, text)) is stop


def test_a_lost_connection_stops_nothing() -> None:
    assert not slowdowns.stops(Outcome(judge(Phase.DOT, 250, "ok").verdict, None, "4.7.28"))


@given(st.lists(st.tuples(st.sampled_from(["halve", "stop", "back"]), st.integers(0, 900)), max_size=60))
def test_whatever_is_answered_the_share_stays_a_share(story: list[tuple[str, int]]) -> None:
    standing: Standing | None = None
    now = NOW
    for what, seconds in story:
        now += seconds * SECOND
        new = None
        if what == "halve":
            new = halved(standing, now, "", 1.0)
        elif what == "stop":
            new = stopped(standing, now, "", 1.0, 5)
        elif standing is not None:
            new = given_back(standing, now, 5)
        if new is None:
            continue
        old = standing.share if standing else 1.0
        assert LEAST <= new.share <= 1
        assert new.share > old if what == "back" else new.share <= old
        assert what != "stop" or new.stopped_until == now + STOP
        standing = new if new.share < 1 or new.stopped_until else None


def test_a_change_by_another_worker_is_not_overwritten(app_on_each: Flask) -> None:
    first = halved(None, NOW, "first", 1.0)
    second = halved(first, NOW + MINUTE, "second", 1.0)
    late = halved(first, NOW + 2 * MINUTE, "late", 1.0)
    assert first is not None
    assert second is not None
    assert late is not None
    with transaction() as session:
        slowdowns.change(session, "relay:1", None, first, NOW)
        slowdowns.change(session, "relay:1", None, late, NOW)
        assert slowdowns.standing(session) == {"relay:1": first}, "another was the first to see it"
    with transaction() as session:
        slowdowns.change(session, "relay:1", first, second, NOW)
        slowdowns.change(session, "relay:1", first, late, NOW)
    assert slowdowns.standing(db.session()) == {"relay:1": second}


def test_a_whole_share_is_over_but_a_stop_is_not(app_on_each: Flask) -> None:
    stop = stopped(None, NOW, "", 1.0, 1)
    assert stop is not None
    assert stop.share == 1
    again = stopped(stop, NOW + 20 * MINUTE, "", 1.0, 1)
    assert again is not None
    with transaction() as session:
        slowdowns.change(session, "hosts:a.example", None, stop, NOW)
        slowdowns.change(session, "hosts:a.example", stop, again, NOW)
    with transaction() as session:
        assert slowdowns.standing(session) == {"hosts:a.example": again}
        over = given_back(again, NOW + 40 * MINUTE, 1)
        assert over is not None
        slowdowns.change(session, "hosts:a.example", again, over, NOW)
        assert slowdowns.standing(session) == {}


def test_what_no_mail_has_touched_for_a_day_is_forgotten(app_on_each: Flask) -> None:
    with transaction() as session:
        slowdowns.change(session, "relay:1", None, Standing(0.5, NOW - datetime.timedelta(hours=25)), NOW)
        slowdowns.change(session, "relay:2", None, Standing(0.5, NOW - datetime.timedelta(hours=23)), NOW)
        slowdowns.forget(session, NOW)
    assert list(slowdowns.standing(db.session())) == ["relay:2"]
