"""When a source is asked again and how it is doing. Pure."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.content.pacing import (
    ASKED_CEILING,
    DAY,
    FAILURE_CEILING,
    FLOOR,
    FRESH_CEILING,
    HOUR,
    MINUTE,
    USUAL,
    State,
    health,
    seconds_after_failure,
    seconds_after_success,
    span,
)

NOW = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, USUAL),
        ({"cache-control": "public, max-age=3600"}, HOUR),
        ({"cache-control": 'Max-Age="1800"', "age": "300"}, USUAL + 10 * MINUTE),
        ({"cache-control": "max-age=60"}, USUAL),
        ({"cache-control": "max-age=31536000"}, FRESH_CEILING),
        ({"cache-control": "s-maxage=7200"}, USUAL),
        ({"cache-control": "max-age=7200, no-cache"}, USUAL),
        ({"cache-control": "no-store,max-age=7200"}, USUAL),
        ({"cache-control": "max-age=-1"}, USUAL),
        ({"cache-control": "max-age=" + "9" * 50}, USUAL),
        ({"cache-control": "max-age=7200", "age": "soon"}, 2 * HOUR),
    ],
)
def test_a_fresh_answer_is_left_alone(headers: dict[str, str], seconds: int) -> None:
    assert seconds_after_success(headers) == seconds


def test_an_operator_may_choose_a_slower_or_quicker_pace() -> None:
    assert seconds_after_success({}, usual=DAY) == DAY
    assert seconds_after_success({}, usual=1) == FLOOR


def test_each_failure_waits_twice_as_long_up_to_a_day() -> None:
    waits = [seconds_after_failure(failures) for failures in range(1, 10)]
    assert waits[:3] == [USUAL, 2 * USUAL, 4 * USUAL]
    assert waits[-1] == FAILURE_CEILING


def test_a_server_that_names_a_time_is_given_it() -> None:
    assert seconds_after_failure(1, retry_after=2 * DAY) == 2 * DAY
    assert seconds_after_failure(1, retry_after=10) == USUAL
    assert seconds_after_failure(1, retry_after=10**9) == ASKED_CEILING


@given(st.integers(), st.none() | st.integers(), st.integers(1, DAY))
def test_no_wait_is_shorter_than_the_floor_or_longer_than_the_ceiling(
    failures: int, retry_after: int | None, usual: int
) -> None:
    assert FLOOR <= seconds_after_failure(failures, retry_after, usual) <= ASKED_CEILING


def judged(hours: float | None, failures: int, **more: bool) -> tuple[State, str]:
    last = None if hours is None else NOW - datetime.timedelta(hours=hours)
    found = health(
        NOW, created_at=NOW - datetime.timedelta(days=3), last_success_at=last, failures=failures,
        last_error="The server answered 500.", **more,
    )  # fmt: skip
    return found.state, found.sentence


def test_health_is_said_in_plain_words() -> None:
    assert judged(None, 0) == (State.NEW, "Not fetched yet.")
    assert judged(0.5, 0) == (State.WELL, "Works; last read 30 minutes ago.")
    assert judged(1, 1) == (State.AILING, "Failed once. It last worked 1 hour ago. The server answered 500.")
    assert judged(49, 7) == (
        State.FAILING,
        "Failed 7 times in a row. It last worked 2 days ago. The server answered 500.",
    )
    assert judged(None, 4) == (State.FAILING, "Failed 4 times in a row. It has never worked. The server answered 500.")
    assert judged(1, 0, gone=True)[0] is State.GONE
    assert judged(1, 9, paused=True)[0] is State.PAUSED


def test_spans_are_said_in_their_largest_unit() -> None:
    assert span(datetime.timedelta(seconds=59)) == "less than a minute"
    assert span(datetime.timedelta(seconds=-5)) == "less than a minute"
    assert span(datetime.timedelta(days=1, hours=5)) == "1 day"
