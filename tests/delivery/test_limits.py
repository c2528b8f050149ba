"""Limits as arithmetic: whoever asks, and whenever, no stretch of time holds more than it may, and nobody starves."""

import math
import random
from collections import deque
from collections.abc import Callable

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from newsletter.delivery.limits import SECOND, Grant, Limit, Meters, OwnMeters
from tests.delivery.meters import START, Clock

RATES = st.sampled_from(
    [(100, 3600), (1, 1), (30, 60), (7, 1), (14, 1), (1000, 60), (90, 1), (40_000, 3600), (2500, 1)]
)


def most_in(times: list[tuple[int, int]], window: int) -> int:
    """Return the most messages in any stretch of `window` microseconds; `times` are (when, how many)."""
    inside: deque[tuple[int, int]] = deque()
    most = total = 0
    for when, number in times:
        inside.append((when, number))
        total += number
        while inside[0][0] <= when - window:
            total -= inside.popleft()[1]
        most = max(most, total)
    return most


def work(
    meters: Meters,
    clock: Clock,
    limits: list[Limit],
    seconds: float,
    seed: int,
    *,
    workers: int = 4,
    late: float = 0.05,
    ahead: Callable[[int], bool] = lambda _: False,
) -> dict[int, list[tuple[int, int]]]:
    """Let workers ask for as much as they can get; each asks again when told to, a little late. What each got, when."""
    chance = random.Random(seed)
    got: dict[int, list[tuple[int, int]]] = {number: [] for number in range(workers)}
    turns = [(clock.now + chance.randrange(SECOND // 10), number) for number in range(workers)]
    ends = clock.now + round(seconds * SECOND)
    while (turn := min(turns))[0] < ends:
        turns.remove(turn)
        clock.now, worker = max(clock.now, turn[0]), turn[1]
        grant = meters.take(limits, chance.randint(1, 2000), ahead=ahead(worker))
        if grant.granted:
            got[worker].append((clock.now, grant.granted))
        turns.append((clock.now + max(1, round((grant.wait + chance.random() * late) * SECOND)), worker))
    return got


def together(got: dict[int, list[tuple[int, int]]]) -> list[tuple[int, int]]:
    return sorted(one for times in got.values() for one in times)


@settings(max_examples=40)
@given(RATES, st.integers(0, 2**32), st.integers(1, 4))
def test_no_minute_and_no_hour_holds_more_than_the_limit(rate: tuple[int, int], seed: int, workers: int) -> None:
    number, seconds = rate
    limit, clock = Limit.of("a", number, seconds), Clock()
    took = together(work(OwnMeters(clock), clock, [limit], 200, seed, workers=workers))
    for window in (60, 150):
        assert most_in(took, window * SECOND) <= number / seconds * window * 1.02 + 1


@settings(max_examples=30)
@given(RATES, st.integers(0, 2**32))
def test_who_keeps_asking_gets_all_of_it(rate: tuple[int, int], seed: int) -> None:
    number, seconds = rate
    limit, clock = Limit.of("a", number, seconds), Clock()
    took = together(work(OwnMeters(clock), clock, [limit], 120, seed))
    for minute in range(2):
        inside = sum(n for when, n in took if 60 * minute <= (when - START) / SECOND < 60 * (minute + 1))
        assert inside >= math.floor(number / seconds * 60 * 0.98) - 1


@settings(max_examples=25)
@given(st.integers(0, 2**32))
def test_of_three_limits_the_strictest_counts_at_every_moment(seed: int) -> None:
    clock = Clock()
    limits = [Limit.of("s", 20, 1), Limit.of("m", 600, 60), Limit.of("h", 18_000, 3600)]
    took = together(work(OwnMeters(clock), clock, limits, 180, seed))
    assert most_in(took, 60 * SECOND) <= 300 * 1.02 + 1
    assert sum(number for _, number in took) >= 900 * 0.98


@settings(max_examples=25)
@given(RATES, st.integers(0, 2**32))
def test_those_who_may_take_ahead_overtake_all_others_within_the_limit(rate: tuple[int, int], seed: int) -> None:
    number, seconds = rate
    limit, clock = Limit.of("a", number, seconds), Clock()
    meters = OwnMeters(clock)
    work(meters, clock, [limit], 20, seed)
    got = work(meters, clock, [limit], 180, seed, ahead=lambda worker: worker == 0)
    mean = number / seconds
    assert most_in(together(got), 60 * SECOND) <= mean * 60 * 1.02 + 2
    first = sum(n for _, n in got[0])
    assert first >= 0.95 * mean * 180 - 2, "who may take ahead gets nearly all"


def test_a_slow_limit_is_spread_evenly() -> None:
    limit, clock = Limit.of("a", 100, 3600), Clock()
    meters = OwnMeters(clock)
    assert meters.take([limit], 5) == Grant(1, 36.0)
    clock.sleep(35.9)
    assert meters.take([limit], 5).granted == 0
    clock.sleep(0.1)
    assert meters.take([limit], 5) == Grant(1, 36.0)
    clock.sleep(3600)
    assert meters.take([limit], 5).granted == 1, "an hour of rest is no hour's worth at once"


def test_waiting_is_told_for_a_portion_not_for_each_message() -> None:
    limit, clock = Limit.of("a", 1000, 1), Clock()
    meters = OwnMeters(clock)
    assert meters.take([limit], 2000) == Grant(500, 0.25)
    assert meters.take([limit], 10) == Grant(0, 0.01), "who wants little is not kept waiting"
    clock.sleep(0.25)
    assert meters.take([limit], 2000).granted == 250


def test_what_was_not_sent_can_be_taken_again() -> None:
    limit, clock = Limit.of("a", 10, 1), Clock()
    meters = OwnMeters(clock)
    assert meters.take([limit], 9).granted == 5
    meters.give_back([limit], 3)
    assert meters.take([limit], 9).granted == 3
    meters.give_back([Limit.of("never asked", 10, 1)], 3)


def test_a_clock_that_is_set_back_stops_nobody_for_long() -> None:
    limit, clock = Limit.of("a", 10, 1), Clock()
    meters = OwnMeters(clock)
    meters.take([limit], 5)
    clock.sleep(-86_400)
    assert meters.take([limit], 5).granted == 0
    clock.sleep(1.5)
    assert meters.take([limit], 5).granted == 5


def test_a_limit_that_is_raised_acts_at_once() -> None:
    clock = Clock()
    meters = OwnMeters(clock)
    meters.take([Limit.of("a", 100, 3600)], 5)
    grant = meters.take([Limit.of("a", 100, 1)], 5)
    clock.sleep(grant.wait + 1)
    assert meters.take([Limit.of("a", 100, 1)], 5).granted == 5


def test_places_in_a_line_do_not_overlap_and_an_abandoned_line_is_shortened() -> None:
    clock = Clock()
    meters = OwnMeters(clock)
    far = START * 2
    assert meters.line_up("l", 3, 36e6, START, far) == START
    assert meters.line_up("l", 2, 36e6, START, far) == START + 108 * SECOND
    assert meters.line_up("l", 1, 36e6, START, START + 10 * SECOND) == START + 10 * SECOND, "nobody waits longer"
    assert meters.line_up("l", 1, 36e6, START + 7200 * SECOND, far) == START + 7200 * SECOND, "the line has run empty"


def test_what_those_in_a_line_have_not_fetched_is_kept_for_them() -> None:
    """The line is looked at only now and then: each time all of those whose turn has come must get through."""
    clock = Clock()
    meters = OwnMeters(clock)
    limit = Limit.of("a", 10, 1, line="l")
    meters.take([limit], 5)
    meters.line_up("l", 600, limit.interval, clock.now, START * 2)
    fetched = []
    for _ in range(4):
        clock.sleep(15)
        fetched.append(meters.take([limit], 1000).granted)
    assert fetched == [150, 150, 150, 150]
    clock.sleep(3600)
    assert meters.take([limit], 1000).granted == 5, "the line has long been empty"


@pytest.mark.parametrize(("number", "seconds"), [(1, 3600), (1, 1), (100_000_000, 1), (100_000_000, 3600)])
def test_any_limit_that_may_be_typed_works(number: int, seconds: int) -> None:
    clock = Clock()
    meters = OwnMeters(clock)
    limit = Limit.of("a", number, seconds)
    first = meters.take([limit], 10)
    assert first.granted == (1 if limit.interval >= SECOND / 2 else 10)
    clock.sleep(max(first.wait, 0.1))
    assert meters.take([limit], 1).granted == 1


def test_nothing_wanted_nothing_taken() -> None:
    clock = Clock()
    assert OwnMeters(clock).take([Limit.of("a", 1, 1)], 0) == Grant(0, 0.0)
    assert OwnMeters(clock).take([], 7) == Grant(7, 0.0)
