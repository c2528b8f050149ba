"""What a worker process may send: the throttle over real tables, with answers as the relay gives them."""

import datetime
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from flask import Flask
from sqlalchemy import select, update

from newsletter.delivery import lines, slowdowns
from newsletter.delivery.host_limits import remove_host_limit, set_host_limit
from newsletter.delivery.limits import Grant, OwnMeters
from newsletter.delivery.models import (
    FROM_SETTINGS,
    Delivery,
    DeliveryState,
    MailHost,
    Relay,
    Slowdown,
    Tls,
)
from newsletter.delivery.replies import Outcome, Phase, judge
from newsletter.delivery.throttling import Throttle
from newsletter.foundation.db import db, transaction
from tests.conftest import NOW
from tests.delivery import world

MINUTE = datetime.timedelta(minutes=1)
ACCEPTED = judge(Phase.DOT, 250, "2.0.0 taken")
BUSY = judge(Phase.RCPT, 450, "4.7.0 Too many messages, slow down")
CLOSING = judge(Phase.MAIL, 421, "4.3.2 Too many connections")
TOO_MUCH = judge(Phase.DOT, 421, "4.7.28 Our system has detected an unusual rate of unsolicited mail")
GREYLISTED = judge(Phase.RCPT, 451, "4.7.1 Greylisted, please come back")


@dataclass
class Time:
    """A clock for the throttle and its meters alike."""

    now: datetime.datetime = NOW
    microseconds: Callable[[], int] = field(init=False)

    def __post_init__(self) -> None:
        self.microseconds = lambda: lines.to_microseconds(self.now)

    def __call__(self) -> datetime.datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += datetime.timedelta(seconds=seconds)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def throttle(app_on_each: Flask, time: Time) -> Throttle:
    return Throttle(app_on_each, "h:1:a", meters=OwnMeters(time.microseconds), clock=time)


def relay(**values: object) -> int:
    given = {
        "name": "main",
        "host": "mail.example.org",
        "port": 25,
        "tls": Tls.OPPORTUNISTIC,
        "weight": 1,
        "connections": 8,
        "senders": [],
        "streams": [],
        "created_at": NOW,
        "updated_at": NOW,
    }
    with transaction() as session:
        made = Relay(**given | values)
        session.add(made)
        session.flush()
        return made.id


def at(domain: str, number: int, first: int = 1) -> dict[int, str]:
    return {first + offset: domain for offset in range(number)}


def test_what_nobody_limits_is_granted_at_once(throttle: Throttle) -> None:
    assert throttle.ask(FROM_SETTINGS, 1, None, 5000, bulk=True) == Grant(5000)
    assert throttle.ask(relay(), 1, None, 5000, bulk=True) == Grant(5000)
    throttle.give_back(FROM_SETTINGS, 1, None, 3)
    assert throttle.sort_out(at("example.org", 100), NOW) == {}
    assert throttle.lanes(at("example.org", 100), NOW) == {}


def test_the_strictest_of_a_relays_limits_and_the_mailings_speed_counts(throttle: Throttle, time: Time) -> None:
    fast, slow = relay(per_second=10, per_minute=6000), relay(name="slow", per_hour=100)
    assert throttle.ask(fast, 1, None, 100, bulk=True) == Grant(5, 0.2)
    assert throttle.ask(slow, 1, None, 100, bulk=True) == Grant(1, 36.0)
    time.sleep(10)
    assert throttle.ask(fast, 2, 60, 100, bulk=True) == Grant(1, 60.0)
    assert throttle.ask(fast, 3, None, 100, bulk=True).granted == 4, "the mailing's own speed is only its own"
    assert throttle.ask(FROM_SETTINGS, 4, 3600, 100, bulk=True) == Grant(1, 1.0)


def test_confirmations_get_through_where_bulk_waits(throttle: Throttle, time: Time) -> None:
    slow = relay(per_hour=100)
    for _ in range(3):
        assert throttle.ask(slow, 1, None, 100, bulk=True).granted == 1
        assert throttle.ask(slow, 2, None, 1, bulk=False).granted == 1
        time.sleep(36)
        assert throttle.ask(slow, 1, None, 100, bulk=True).granted == 0
        time.sleep(36)


def test_what_was_not_used_is_there_for_the_next(throttle: Throttle) -> None:
    some = relay(per_second=10)
    assert throttle.ask(some, 1, 36_000, 100, bulk=True).granted == 5
    throttle.give_back(some, 1, 36_000, 4)
    throttle.give_back(some, 1, 36_000, 0)
    assert throttle.ask(some, 1, 36_000, 100, bulk=True).granted == 4


def test_what_operators_change_acts_within_a_second_or_so(throttle: Throttle, time: Time) -> None:
    some = relay(per_second=10)
    throttle.ask(some, 1, None, 100, bulk=True)
    with transaction() as session:
        session.execute(update(Relay).values(per_second=1000))
    time.sleep(1)
    assert throttle.ask(some, 1, None, 1000, bulk=True).granted == 500


def test_a_relay_that_is_gone_gets_nothing(throttle: Throttle) -> None:
    assert throttle.ask(77, 1, None, 5, bulk=True) == Grant(0, 1.0)
    throttle.give_back(77, 1, None, 5)
    assert throttle.connections(77, 5) == 0


def test_limits_hold_for_all_domains_behind_the_same_hosts(throttle: Throttle) -> None:
    """Standards S4."""
    with transaction() as session:
        for domain in ("one.example", "two.example"):
            session.add(MailHost(domain=domain, host_group="google.com", looked_up_at=NOW))
        set_host_limit(session, "google.com", NOW, per_hour=100)
    held = throttle.sort_out(at("one.example", 2) | at("two.example", 2, 3) | at("free.example", 3, 5), NOW)
    assert list(held) == [2, 3, 4], "one may go, whatever its domain; those behind other hosts all may"
    assert [round((when - NOW).total_seconds()) for when in held.values()] == [36, 72, 108]
    throttle.ask(FROM_SETTINGS, 1, None, 1, bulk=True)
    noted = db.session.scalars(select(MailHost.domain).where(MailHost.host_group == "free.example")).all()
    assert noted == ["free.example"], "it will be looked up"


def test_sorting_out_writes_nothing_while_the_ledger_does(throttle: Throttle) -> None:
    """On SQLite a second writer would wait for the first, which waits for it."""
    with transaction() as session:
        set_host_limit(session, "a.example", NOW, per_hour=100)
    with transaction() as session:
        session.add(Slowdown(key="relay:9", share=0.5, because="", changed_at=NOW))
        session.flush()
        assert len(throttle.sort_out(at("a.example", 5) | {9: "unknown.example"}, NOW)) == 4


def test_a_long_line_moves_on_without_anybody_asking_twice(app: Flask, time: Time) -> None:
    """100 an hour and 600 readers there, looked at every 15 s: each is told a time once, and then goes."""
    throttle = Throttle(app, "h:1:a", meters=OwnMeters(time.microseconds), clock=time)
    with transaction() as session:
        set_host_limit(session, "slow.example", NOW, per_hour=100)
    waiting: list[tuple[datetime.datetime, int]] = []
    asked = 0
    sent: list[datetime.datetime] = []

    def offer(ids: list[int]) -> None:
        nonlocal asked
        asked += len(ids)
        held = throttle.sort_out(dict.fromkeys(ids, "slow.example"), time.now)
        for when, delivery_id in [(held[one], one) for one in ids if one in held]:
            heapq.heappush(waiting, (when, delivery_id))
        sent.extend([time.now] * (len(ids) - len(held)))

    for first in range(0, 600, 100):
        offer(list(range(first, first + 100)))
        time.sleep(0.1)
    assert len(waiting) == 599
    begun = time.now
    while waiting:
        time.sleep(15)
        due = []
        while waiting and waiting[0][0] <= time.now:
            due.append(heapq.heappop(waiting)[1])
        if due:
            offer(due)
    assert asked <= 2 * 600 + 10
    assert 5.9 <= (time.now - begun).total_seconds() / 3600 <= 6.1
    in_any_hour = max(sum(begun <= when < begun + 60 * MINUTE for when in sent) for begun in sent)
    assert in_any_hour <= 102


def test_a_fast_limit_is_used_up_though_the_line_is_looked_at_only_now_and_then(app: Flask, time: Time) -> None:
    throttle = Throttle(app, "h:1:a", meters=OwnMeters(time.microseconds), clock=time)
    with transaction() as session:
        set_host_limit(session, "a.example", NOW, per_second=10)
    waiting = sorted((when, one) for one, when in throttle.sort_out(at("a.example", 1200), NOW).items())
    assert len(waiting) == 1195
    passed = 5
    for _ in range(9):
        time.sleep(15)
        due = [one for when, one in waiting if when <= time.now]
        waiting = [(when, one) for when, one in waiting if when > time.now]
        held = throttle.sort_out(dict.fromkeys(due, "a.example"), time.now)
        passed += len(due) - len(held)
        waiting = sorted(waiting + [(when, one) for one, when in held.items()])
    assert passed == 1200


def test_confirmations_do_not_stand_in_line(throttle: Throttle, time: Time) -> None:
    with transaction() as session:
        set_host_limit(session, "a.example", NOW, per_hour=100)
    throttle.sort_out(at("a.example", 500), NOW)
    assert throttle.sort_out({9001: "a.example"}, NOW, bulk=False) == {}, "one ahead of the line"
    held = throttle.sort_out({9002: "a.example"}, NOW, bulk=False)
    assert (held[9002] - NOW).total_seconds() == pytest.approx(36, abs=1)


def test_a_line_that_was_given_up_is_not_waited_for(throttle: Throttle, time: Time) -> None:
    """A cancelled mailing leaves places in the line that nobody will take."""
    with transaction() as session:
        set_host_limit(session, "a.example", NOW, per_hour=100)
    throttle.sort_out(at("a.example", 500), NOW)
    time.sleep(61)
    held = throttle.sort_out(at("a.example", 9), time.now)
    assert max(held.values()) < time.now + 10 * MINUTE


def test_a_line_is_as_long_as_those_who_wait(throttle: Throttle, time: Time) -> None:
    world.build(3)
    world.start()
    with transaction() as session:
        set_host_limit(session, "a.example", NOW, per_hour=100)
    held = throttle.sort_out(at("a.example", 500), NOW)
    with transaction() as session:
        last = max(held.values())
        session.execute(update(Delivery).values(state=DeliveryState.DEFERRED, retry_at=last))
    time.sleep(61)
    assert min(throttle.sort_out(at("a.example", 9), time.now).values()) >= last


def test_when_a_limit_is_removed_nobody_waits_for_it(throttle: Throttle, time: Time) -> None:
    with transaction() as session:
        set_host_limit(session, "a.example", NOW, per_hour=100)
    assert throttle.sort_out(at("a.example", 9), NOW)
    with transaction() as session:
        remove_host_limit(session, "a.example", NOW)
    time.sleep(1)
    assert throttle.sort_out(at("a.example", 9), time.now) == {}


def test_a_new_limit_begins_a_new_line(throttle: Throttle, time: Time) -> None:
    with transaction() as session:
        set_host_limit(session, "a.example", NOW, per_hour=100)
    throttle.sort_out(at("a.example", 500), NOW)
    time.sleep(2)
    with transaction() as session:
        set_host_limit(session, "a.example", time.now, per_hour=3600)
    time.sleep(1)
    held = throttle.sort_out(at("a.example", 9), time.now)
    assert max(held.values()) < time.now + datetime.timedelta(seconds=15)


def test_connections_of_the_settings_relay_are_each_processs_own(throttle: Throttle) -> None:
    assert throttle.connections(FROM_SETTINGS, 99) == 5
    assert throttle.connections(FROM_SETTINGS, 2) == 2


def test_other_relays_connections_are_shared(throttle: Throttle) -> None:
    some = relay(connections=8)
    assert throttle.connections(some, 99) == 8
    throttle.close()
    assert throttle.connections(some, 3) == 3


def test_hosts_that_take_few_connections_get_few_messages_at_a_time(throttle: Throttle) -> None:
    with transaction() as session:
        session.add(MailHost(domain="one.example", host_group="outlook.com", looked_up_at=NOW))
        set_host_limit(session, "outlook.com", NOW, connections=3)
    assert throttle.lanes({1: "one.example", 2: "two.example"}, NOW) == {1: ("outlook.com", 3)}
    assert throttle.sort_out({1: "one.example"}, NOW) == {}


def standing() -> dict[str, Slowdown]:
    db.session.rollback()
    return {row.key: row for row in db.session.scalars(select(Slowdown)).all()}


def test_plain_refusals_and_greylisting_slow_nobody_down(throttle: Throttle) -> None:
    gone = judge(Phase.RCPT, 550, "5.1.1 No such user")
    throttle.observe(1, [("a.example", GREYLISTED), ("a.example", gone), ("a.example", ACCEPTED)], NOW)
    assert standing() == {}


def test_a_relay_that_closes_gets_half_the_connections_and_half_its_rate(throttle: Throttle, time: Time) -> None:
    some = relay(connections=8, per_second=10)
    throttle.observe(some, [("a.example", CLOSING)] * 5, time.now)
    assert list(standing()) == [f"relay:{some}"]
    assert throttle.connections(some, 99) == 4
    assert throttle.ask(some, 1, None, 100, bulk=True) == Grant(2, 0.1)
    time.sleep(10)
    throttle.observe(some, [("", CLOSING)], time.now)
    assert throttle.connections(some, 99) == 2
    for expected in (3, 4, 5, 6, 7, 8):
        time.sleep(60)
        throttle.observe(some, [("b.example", ACCEPTED)], time.now)
        assert throttle.connections(some, 99) == expected, "one more for each minute"
    assert standing() == {}


def test_the_settings_relay_slows_down_too(throttle: Throttle) -> None:
    throttle.observe(FROM_SETTINGS, [("a.example", CLOSING)], NOW)
    assert throttle.connections(FROM_SETTINGS, 99) == 2
    (shown,) = slowdowns.slowdowns(db.session(), NOW)
    assert (shown.name, shown.because) == ("relay of the settings", "421 4.3.2 Too many connections")


def test_a_busy_provider_gets_half_of_what_went_there_and_others_all(throttle: Throttle, time: Time) -> None:
    with transaction() as session:
        for domain in ("one.example", "two.example"):
            session.add(MailHost(domain=domain, host_group="google.com", looked_up_at=NOW))
    for _ in range(11):
        seen = [("one.example", ACCEPTED)] * 60 + [("two.example", ACCEPTED)] * 40 + [("c.example", ACCEPTED)] * 9
        throttle.observe(FROM_SETTINGS, seen, time.now)
        time.sleep(1)
    throttle.observe(FROM_SETTINGS, [("two.example", BUSY), ("one.example", BUSY)], time.now)
    (row,) = standing().values()
    assert (row.key, row.share) == ("hosts:google.com", 0.5)
    assert row.pace == pytest.approx(100, rel=0.15)
    held = throttle.sort_out(at("one.example", 300) | at("c.example", 300, 1000), time.now)
    assert 270 <= len(held) <= 279
    assert max(held) <= 300, "who has not asked for less is not slowed down"
    assert max(held.values()) == pytest.approx(time.now + datetime.timedelta(seconds=5.6), abs=MINUTE / 60)


def test_a_slowed_provider_keeps_to_its_share_of_the_operators_limit(throttle: Throttle) -> None:
    with transaction() as session:
        set_host_limit(session, "a.example", NOW, per_second=20)
    throttle.observe(FROM_SETTINGS, [("a.example", BUSY)], NOW)
    assert len(throttle.sort_out(at("a.example", 100), NOW)) == 95


def test_a_provider_that_speaks_of_our_rate_is_left_alone_for_ten_minutes(throttle: Throttle, time: Time) -> None:
    """Standards S5: stop for ten minutes, then one connection's worth, then one more at a time."""
    some = relay(connections=4)
    with transaction() as session:
        session.add(MailHost(domain="one.example", host_group="google.com", looked_up_at=NOW))
        session.add(MailHost(domain="two.example", host_group="google.com", looked_up_at=NOW))
    for _ in range(10):
        throttle.observe(some, [("one.example", ACCEPTED)] * 8, time.now)
        time.sleep(1)
    throttle.observe(some, [("one.example", TOO_MUCH), ("one.example", ACCEPTED)], time.now)
    assert list(standing()) == ["hosts:google.com"], "it is not the relay that asks for less"
    stopped = time.now
    held = throttle.sort_out(at("two.example", 20) | {100: "c.example"}, time.now)
    assert list(held) == list(range(1, 21)), "nothing goes to any domain there; all else does"
    assert min(held.values()) == stopped + 10 * MINUTE
    assert throttle.sort_out({200: "two.example"}, time.now, bulk=False), "confirmations are no exception"
    time.sleep(599)
    assert throttle.sort_out({201: "one.example"}, time.now)
    time.sleep(1)

    def pace() -> float:
        """Messages that get through in a minute."""
        through = 0
        for _ in range(60):
            through += 40 - len(throttle.sort_out(at("two.example", 40, 1000), time.now))
            time.sleep(1)
        return through

    for connections in (1, 2, 3):
        assert pace() == pytest.approx(60 * 2 * connections, abs=3), f"{connections} connections' worth"
        throttle.observe(some, [("two.example", ACCEPTED)], time.now)
    assert pace() == 60 * 40
    assert standing() == {}


def test_who_waits_is_called_when_a_slowdown_is_over(throttle: Throttle, time: Time) -> None:
    world.build(3)
    world.start()
    throttle.observe(FROM_SETTINGS, [("a.example", BUSY)], NOW)
    with transaction() as session:
        session.execute(update(Delivery).values(state=DeliveryState.DEFERRED, retry_at=NOW + 600 * MINUTE))
    for _ in range(3):
        time.sleep(60)
        throttle.sort_out({1: "a.example"}, time.now)
        throttle.observe(FROM_SETTINGS, [("a.example", ACCEPTED)], time.now)
    assert standing() == {}
    assert db.session.scalars(select(Delivery.retry_at).distinct()).all() == [time.now]


def test_an_operator_ends_a_slowdown_for_all_workers(throttle: Throttle, time: Time) -> None:
    throttle.observe(FROM_SETTINGS, [("a.example", TOO_MUCH)], NOW)
    assert throttle.sort_out(at("a.example", 5), NOW)
    with transaction() as session:
        slowdowns.clear_slowdown(session, "hosts:a.example", NOW)
    time.sleep(1)
    assert throttle.sort_out(at("a.example", 5), time.now) == {}


def test_a_hostile_answer_is_kept_short_and_without_addresses(throttle: Throttle) -> None:
    words = judge(Phase.DOT, 421, "4.7.28 <script>alert(1)</script> reader@example.org " + "x" * 100_000)
    throttle.observe(FROM_SETTINGS, [("a.example", words), ("not a domain!", TOO_MUCH)], NOW)
    rows = standing()
    throttle.ask(FROM_SETTINGS, 1, None, 1, bulk=True)
    db.session.rollback()
    assert all(len(row.because) < 400 and "reader@" not in row.because for row in rows.values())
    assert db.session.scalars(select(MailHost.domain)).all() == ["a.example"]


def test_outcomes_without_a_reply_say_nothing(throttle: Throttle) -> None:
    lost = Outcome(judge(Phase.DATA, 451, "x").verdict, None, "421 4.7.28 the connection was lost")
    throttle.observe(FROM_SETTINGS, [("a.example", lost)], NOW)
    assert standing() == {}
