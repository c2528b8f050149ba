"""A request stores one row; a worker decides; nobody can be flooded and nobody found out."""

import datetime
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, func, select

from newsletter.audience import caps, signup, suppression
from newsletter.audience.caps import Sent
from newsletter.audience.models import (
    ConfirmationKind,
    MailCap,
    SignupOutcome,
    SignupRequest,
    Subscriber,
    SubscriptionState,
    SuppressionReason,
)
from newsletter.foundation.db import db, transaction
from tests.audience.conftest import DAILY, DAY, HOUR, MINUTE, WEEKLY, Room
from tests.conftest import NOW

CONFIRM, ALREADY = ConfirmationKind.CONFIRM, ConfirmationKind.ALREADY


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect the SQL that is sent meanwhile."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def outcomes(room: Room) -> list[str | None]:
    rows = room.session.scalars(
        select(SignupRequest).order_by(SignupRequest.id).execution_options(populate_existing=True)
    )
    return [row.outcome and row.outcome.value for row in rows]


def test_a_request_does_the_same_whoever_the_address_is(room: Room) -> None:
    reader = room.reader("known@example.org")
    room.request("pending@example.org")
    room.process()
    with transaction() as session:
        suppression.suppress(session, room.hasher, "never@example.org", SuppressionReason.OPERATOR, NOW)
        suppression.suppress(session, room.hasher, "example.net", SuppressionReason.OPERATOR, NOW)
    asked = len(room.asked())
    done = []
    for address in (
        "new@example.org",
        "known@example.org",
        "pending@example.org",
        "never@example.org",
        "a@example.net",
    ):
        with statements() as seen:
            room.request(address)
        done.append(seen)
    assert all(seen == done[0] for seen in done)
    assert sum("INSERT" in statement for statement in done[0]) == 1
    assert not any("SELECT" in statement for statement in done[0])
    assert len(room.asked()) == asked, "nothing is decided in the request"
    assert room.choices(reader) == {1: DAILY, 2: DAILY}


def test_a_new_address_becomes_pending_and_is_asked_once(room: Room) -> None:
    room.request(affiliate=True)
    assert room.process() == 1
    assert room.process() == 0
    (asked,) = room.asked()
    assert asked.kind is CONFIRM
    assert asked.planned_at is None
    assert asked.expires_at == NOW + 2 * DAY
    rows = room.subscriptions(asked.subscriber_id)
    assert [(row.category_id, row.state) for row in rows] == [
        (1, SubscriptionState.PENDING),
        (2, SubscriptionState.PENDING),
    ]
    assert room.acts(asked.subscriber_id) == [("newsletter", "given"), ("affiliate:acme", "given")]
    subscriber = room.session.get_one(Subscriber, asked.subscriber_id)
    assert subscriber.confirmed_at is None
    assert subscriber.name == "", "nothing that a stranger typed is kept as the reader's own"


def test_two_spellings_of_one_address_are_one_subscriber(room: Room) -> None:
    room.request("Ann@Example.org")
    room.request("ann@example.ORG", NOW + HOUR)
    room.process(NOW + HOUR)
    assert outcomes(room) == ["confirmation", "capped"]
    assert room.session.scalar(select(func.count(Subscriber.id))) == 1


def test_asking_again_before_confirming_sends_a_second_mail_with_the_second_choice(room: Room) -> None:
    room.request(categories=(1,))
    room.process()
    room.request(now=NOW + HOUR, categories=(3,), cadence=WEEKLY)
    room.process(NOW + HOUR)
    first, second = room.asked()
    room.confirm(second.id, NOW + HOUR)
    assert room.choices(second.subscriber_id) == {3: WEEKLY}
    room.confirm(first.id, NOW + HOUR)
    assert room.choices(second.subscriber_id) == {3: WEEKLY, 1: DAILY}


def test_whoever_gets_it_all_is_told_so_once_a_day(room: Room) -> None:
    room.reader(now=NOW - DAY)
    for hours in (0, 2, 23, 24):
        room.request(now=NOW + hours * HOUR, categories=(1,))
        room.process(NOW + hours * HOUR)
    assert outcomes(room)[1:] == ["already", "capped", "capped", "already"]
    assert [one.kind for one in room.asked()] == [CONFIRM, ALREADY, ALREADY]


@pytest.mark.parametrize(
    "wish", [{"categories": (1, 3)}, {"cadence": WEEKLY}, {"affiliate": True}], ids=["category", "cadence", "affiliate"]
)
def test_more_for_a_reader_waits_for_their_button(room: Room, wish: dict[str, Any]) -> None:
    reader = room.reader(now=NOW - DAY)
    before = room.choices(reader), room.acts(reader)
    room.request(**wish)
    room.process()
    assert outcomes(room)[-1] == "confirmation"
    assert room.choices(reader) == before[0], "a stranger who knows the address changes nothing"
    assert "confirmed" not in [act for _, act in room.acts(reader)[len(before[1]) :]]
    room.confirm(room.asked()[-1].id)
    expected = {1: DAILY, 2: DAILY} | dict.fromkeys(wish.get("categories", (1, 2)), wish.get("cadence", DAILY))
    assert room.choices(reader) == expected
    assert (("affiliate:acme", "confirmed") in room.acts(reader)) == wish.get("affiliate", False)


@pytest.mark.parametrize("target", ["ann@example.org", "ANN@example.org", "example.org", "@Example.org"])
def test_a_suppressed_address_or_domain_gets_nothing_until_that_is_lifted(room: Room, target: str) -> None:
    with transaction() as session:
        suppression.suppress(session, room.hasher, target, SuppressionReason.COMPLAINT, NOW)
        suppression.suppress(session, room.hasher, target, SuppressionReason.OPERATOR, NOW)
    room.request()
    room.process()
    assert outcomes(room) == ["suppressed"]
    assert room.asked() == []
    assert room.session.scalar(select(func.count(Subscriber.id))) == 0
    with transaction() as session:
        assert suppression.is_suppressed(session, room.hasher, "ann@example.org")
        assert suppression.lift(session, room.hasher, target)
        assert not suppression.lift(session, room.hasher, target)
    room.request()
    room.process()
    assert outcomes(room) == ["suppressed", "confirmation"]


def test_five_hundred_spellings_of_a_mailbox_bring_at_most_three_mails_a_day(room: Room) -> None:
    letters = "victimname"
    for number in range(500):
        dotted = "".join(f"{letter}." if number >> at & 1 else letter for at, letter in enumerate(letters[:9]))
        room.request(f"{dotted}{letters[9:]}+{number}@{('gmail', 'googlemail')[number % 2]}.com", NOW)
    for minutes in range(0, 24 * 60, 16):
        room.process(NOW + minutes * MINUTE)
        if minutes % 160 == 0:
            room.request(f"{letters}+again{minutes}@gmail.com", NOW)
    assert room.session.scalar(select(func.count()).where(SignupRequest.processed_at.is_(None))) == 0
    assert 1 <= len(room.asked()) <= 3


def test_an_address_that_never_confirms_gets_five_mails_in_thirty_days(room: Room) -> None:
    for day in range(40):
        room.request(now=NOW + day * DAY)
        room.process(NOW + day * DAY)
    assert [(one.created_at - NOW).days for one in room.asked()] == [0, 1, 2, 3, 4, 30, 31, 32, 33, 34]


def test_the_counters_outlive_the_sign_up(room: Room) -> None:
    room.request()
    room.process()
    with transaction() as session:
        session.delete(session.get_one(Subscriber, room.asked()[0].subscriber_id))
    room.request(now=NOW + MINUTE)
    room.process(NOW + MINUTE)
    assert outcomes(room)[-1] == "capped"
    (counter,) = room.session.scalars(select(MailCap))
    assert "ann" not in counter.key_hash


def test_a_request_for_a_category_that_is_gone_hurts_nobody(room: Room) -> None:
    room.request("a@example.org", categories=(1, 99))
    room.request("b@example.org", categories=(99,))
    room.request("c@example.org")
    assert room.process() == 3
    first = room.asked("a@example.org")[0]
    room.confirm(first.id)
    assert room.choices(first.subscriber_id) == {1: DAILY}
    assert outcomes(room)[2] == "confirmation"


def test_a_batch_takes_as_many_queries_as_one_request_to_decide(room: Room) -> None:
    for number in range(30):
        room.reader(f"reader{number}@example.org", NOW - DAY)
    counts = []
    for batch in (range(1), range(1, 30)):
        for number in batch:
            room.request(f"reader{number}@example.org", cadence=DAILY, categories=(1,))
        with statements() as seen:
            room.process()
        counts.append(sum(statement.lstrip().startswith("SELECT") for statement in seen))
    assert counts[0] == counts[1]


def test_two_workers_at_once_decide_each_request_once(room: Room, app_on_each: Flask) -> None:
    for number in range(40):
        room.request(f"v.ictim+{number}@gmail.com" if number % 2 else f"reader{number}@example.org")
    done: list[int] = []
    gate = threading.Barrier(2)

    def work() -> None:
        with app_on_each.app_context():
            gate.wait()
            with transaction() as session:
                done.append(signup.process_waiting(session, room.hasher, NOW))
            db.session.remove()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(done) == [0, 40]
    assert len(room.asked()) == 21


@given(
    st.lists(st.tuples(st.sampled_from(ConfirmationKind), st.integers(0, 45 * 24 * 60)), max_size=60),
    st.booleans(),
)
def test_no_history_of_wishes_gets_more_than_the_caps(
    wishes: list[tuple[ConfirmationKind, int]], confirmed: bool
) -> None:
    sent: list[Sent] = []
    for kind, minute in sorted(wishes, key=lambda wish: wish[1]):
        now = NOW + minute * MINUTE
        if caps.allows(kind, sent, confirmed=confirmed, now=now):
            sent.append(Sent(kind, now))
    times = [mail.at for mail in sent]
    assert most_within(times, 15 * MINUTE) <= 1
    assert most_within(times, DAY) <= 3
    assert confirmed or most_within(times, 30 * DAY) <= 5
    assert most_within([mail.at for mail in sent if mail.kind is ALREADY], DAY) <= 1


def most_within(times: list[datetime.datetime], span: datetime.timedelta) -> int:
    return max((sum(start <= time < start + span for time in times) for start in times), default=0)


def test_a_decision_needs_no_database() -> None:
    wish = SignupRequest(category_ids=[1], cadence_id=DAILY)
    known = signup.Known(confirmed=True, refused=False, choices={1: DAILY}, purposes=frozenset({"newsletter"}))
    decided = signup.decide(wish, ["newsletter"], known, [], suppressed=False, now=NOW)
    assert decided is SignupOutcome.ALREADY
    assert signup.decide(wish, ["newsletter", "affiliate:x"], known, [], suppressed=False, now=NOW) is (
        SignupOutcome.CONFIRMATION
    )
    assert signup.decide(wish, [], known, [], suppressed=True, now=NOW) is SignupOutcome.SUPPRESSED
