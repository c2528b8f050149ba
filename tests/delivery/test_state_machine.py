"""Random histories of one mailing over the real ledger, with a relay in a dictionary that cannot be asked.

Workers lease, begin, write dots, read replies or not, stall and die; their hosts go down; readers leave, operators
pause, cancel and resend, clocks jump. Whatever the history: counters and rows agree, the relay accepts nobody twice
whom no operator ordered twice, what the ledger was told is accepted stays so, and in the end nobody is missing.
"""

import datetime
import itertools
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from newsletter.audience import consent, leaving, suppression
from newsletter.audience.models import SuppressionReason
from newsletter.content.models import Counter as Counted
from newsletter.delivery import cancelling, control, planning, recovery
from newsletter.delivery import ledger as ledgers
from newsletter.delivery.control import Settlement
from newsletter.delivery.journal import Journal
from newsletter.delivery.leases import Lease
from newsletter.delivery.ledger import Ledger
from newsletter.delivery.models import Delivery, DeliveryState, Mailing, MailingState
from newsletter.delivery.replies import Outcome, Verdict
from newsletter.foundation.db import Base, db, transaction
from newsletter.foundation.errors import ConflictError, NotFoundError
from tests.conftest import NOW
from tests.delivery import world
from tests.servers.given import given

READERS = 7
ACCEPTED = Outcome(Verdict.ACCEPTED, 250, "queued as 1")
TEMPORARY = Outcome(Verdict.TEMPORARY, 451, "later")
REFUSED = Outcome(Verdict.REFUSED, 550, "5.1.1 no such mailbox")
UNKNOWN = Outcome(Verdict.UNKNOWN, None, "the relay closed the connection")
UNSENT = Outcome(Verdict.UNSENT)
FRESH = 1.0
"""Seconds after beginning a group in which a worker still writes dots: by a clock that never jumps."""
_names = itertools.count()

some_number = st.integers(0, 100)
some_reply = st.sampled_from([ACCEPTED, ACCEPTED, TEMPORARY, REFUSED])


@dataclass
class Hand:
    """A worker process as the ledger sees it, playing the engine's part."""

    ledger: Ledger
    journal: Journal
    lease: Lease | None = None
    open: dict[int, float | None] = field(default_factory=dict)
    """Begun and not yet answered: when it was begun, None once its dot was written."""
    told: dict[int, Outcome] = field(default_factory=dict)
    """Answered, the ledger not yet told."""

    def end(self, delivery: int, outcome: Outcome) -> None:
        del self.open[delivery]
        self.told[delivery] = outcome
        self.journal.told(delivery, outcome)

    def handed_in(self) -> None:
        self.told.clear()
        self.journal.turn()
        self.journal.forget([delivery for delivery, begun in self.open.items() if begun is None])


class Histories(RuleBasedStateMachine):
    app: Flask
    folder: Path
    clock: "Clock"

    def __init__(self) -> None:
        super().__init__()
        self.clock.now, self.passed = NOW, 0.0
        self.hands: list[Hand] = []
        self.arrived: Counter[int] = Counter()
        """What the relay accepted."""
        self.ordered: Counter[int] = Counter()
        """How often an operator ordered a resend."""
        self.known: set[int] = set()
        """What the ledger was told is accepted."""
        self._last: dict[int, DeliveryState] = {}
        self.mailing_id = 0

    @initialize()
    def begin_anew(self) -> None:
        with transaction() as session:
            for table in reversed(Base.metadata.sorted_tables):
                if table is not Counted.__table__:
                    session.execute(table.delete())
        db.session.expunge_all()
        world.build(READERS)
        world.start("key")
        self.mailing_id = db.session.scalars(select(Mailing.id)).one()
        for path in self.folder.glob("*"):
            path.unlink()
        for _ in range(2):
            self.start_a_worker()

    # What workers do

    @precondition(lambda self: len(self.hands) < 3)
    @rule()
    def start_a_worker(self) -> None:
        owner = f"host:{next(_names)}:a"
        self.hands.append(Hand(Ledger(self.app, owner), Journal(self.folder, owner)))

    @precondition(lambda self: self.hands)
    @rule(which=some_number)
    def begin(self, which: int) -> None:
        """Begin a group, with a chunk that is claimed where there is none."""
        hand = _pick(self.hands, which)
        hand.lease = hand.lease or hand.ledger.claim(bulk=True)
        if hand.lease is None:
            return
        group = hand.ledger.begin(hand.lease, 3, dict(hand.told), 0)
        self._was_told(hand)
        hand.open |= dict.fromkeys(group.messages, self.passed)
        if hand.lease.exhausted and not hand.open:
            self._give_up(hand)

    @precondition(lambda self: self._undotted())
    @rule(which=some_number)
    def write_a_dot(self, which: int) -> None:
        hand, delivery = _pick(self._undotted(), which)
        hand.journal.about_to_send(delivery)
        hand.open[delivery] = None

    @precondition(lambda self: self._undotted())
    @rule(which=some_number)
    def lose_the_connection_before_the_dot(self, which: int) -> None:
        hand, delivery = _pick(self._undotted(), which)
        hand.end(delivery, UNSENT)

    @precondition(lambda self: self._dotted())
    @rule(which=some_number, reply=some_reply)
    def read_a_reply(self, which: int, reply: Outcome) -> None:
        hand, delivery = _pick(self._dotted(), which)
        self.arrived[delivery] += reply is ACCEPTED
        hand.end(delivery, reply)

    @precondition(lambda self: self._dotted())
    @rule(which=some_number, arrives=st.booleans())
    def lose_the_connection_after_the_dot(self, which: int, arrives: bool) -> None:
        hand, delivery = _pick(self._dotted(), which)
        self.arrived[delivery] += arrives
        hand.end(delivery, UNKNOWN)

    @precondition(lambda self: any(hand.told for hand in self.hands))
    @rule(which=some_number)
    def tell_the_ledger(self, which: int) -> None:
        hand = _pick([hand for hand in self.hands if hand.told], which)
        hand.ledger.settle(hand.lease, dict(hand.told), 0)
        self._was_told(hand)

    @precondition(lambda self: any(hand.lease for hand in self.hands))
    @rule(which=some_number)
    def release(self, which: int) -> None:
        self._give_up(_pick([hand for hand in self.hands if hand.lease], which))

    @precondition(lambda self: self.hands)
    @rule(which=some_number, arrives=st.lists(st.booleans(), min_size=10, max_size=10), host_too=st.booleans())
    def die(self, which: int, arrives: list[bool], host_too: bool) -> None:
        """What was written before the kill may still arrive; what a host had in its files may be gone with it."""
        hand = _pick(self.hands, which)
        self.hands.remove(hand)
        for arriving, (delivery, begun) in zip(itertools.cycle(arrives), hand.open.items(), strict=False):
            self.arrived[delivery] += begun is None and arriving
        paths = abandon(hand.journal)
        if host_too:
            for path in paths:
                path.unlink()

    # What comes by

    @rule()
    def recover(self) -> None:
        recovery.recover(self.folder, self.clock.now)

    @rule()
    def sweep(self) -> None:
        with transaction() as session:
            recovery.reap(session, self.clock.now)
            recovery.regroup_due(session, self.clock.now)
            recovery.resend_unknown_confirmations(session, self.clock.now)
        with transaction() as session:
            cancelling.sweep(session, self.clock.now)

    @rule(minutes=st.sampled_from([0.01, 0.01, 1, 9, 90]))
    def time_goes_by(self, minutes: float) -> None:
        self.clock.now += datetime.timedelta(minutes=minutes)
        self.passed += minutes * 60

    @rule(minutes=st.sampled_from([-120, -10, -1, 1, 10]))
    def the_wall_clock_jumps(self, minutes: int) -> None:
        self.clock.now += datetime.timedelta(minutes=minutes)

    # What people do

    @rule(act=st.sampled_from(["pause", "resume", "resume", "cancel"]), really=st.integers(0, 3))
    def order(self, act: str, really: int) -> None:
        if act == "cancel" and really:
            return  # a cancelled mailing has no more stories to tell
        try:
            with transaction() as session:
                if act == "pause":
                    control.pause(session, self.mailing_id)
                else:
                    (control.resume if act == "resume" else control.cancel)(session, self.mailing_id, self.clock.now)
        except ConflictError:
            pass

    @rule(number=st.integers(1, READERS), complaint=st.booleans())
    def leave(self, number: int, complaint: bool) -> None:
        with transaction() as session:
            if complaint:
                suppression.suppress_hash(session, f"a{number}", SuppressionReason.COMPLAINT, self.clock.now)
            else:
                leaving.leave_cadence(session, number, 1, self.clock.now, consent.Client())

    @precondition(lambda self: self._unknown())
    @rule(which=some_number, settlement=st.sampled_from(Settlement))
    def settle_an_unknown_one(self, which: int, settlement: Settlement) -> None:
        delivery = _pick(self._unknown(), which)
        try:
            with transaction() as session:
                moved = control.settle_unknown(session, [delivery], settlement, self.clock.now)
        except NotFoundError:
            return
        if settlement is Settlement.RESEND:
            self.ordered[delivery] += moved

    # What must hold

    @invariant()
    def all_promises_are_kept(self) -> None:
        states = self._states()
        kept = db.session.scalars(select(Mailing).execution_options(populate_existing=True)).one().counts
        counted = Counter(state.value for state in states.values())
        assert {name: number for name, number in kept.items() if number} == counted, "counters are rows"
        for delivery, state in states.items():
            arrived = self.arrived[delivery]
            assert arrived <= 1 + self.ordered[delivery], "accepted twice, and nobody ordered it"
            if state is DeliveryState.ACCEPTED:
                assert arrived, "accepted means that it arrived"
            else:
                assert delivery not in self.known, "what the ledger was told is accepted stays so"
            if state in (DeliveryState.PLANNED, DeliveryState.DEFERRED, DeliveryState.FAILED, DeliveryState.SKIPPED):
                assert arrived <= self.ordered[delivery], f"it arrived, and is {state}"

    def teardown(self) -> None:
        """Let all who are at work die, and one worker do the rest with a relay that takes everything."""
        if not self.mailing_id:
            return
        for hand in list(self.hands):
            for path in abandon(hand.journal):
                path.unlink()
        self.hands.clear()
        mailing = db.session.get_one(Mailing, self.mailing_id, populate_existing=True)
        if mailing.state is MailingState.PAUSED:
            with transaction() as session:
                control.resume(session, self.mailing_id, self.clock.now)
        for _ in range(4):
            self.time_goes_by(300)
            self.recover()
            self.sweep()
            self.start_a_worker()
            hand = self.hands[-1]
            self.begin(0)
            while hand.lease is not None:
                for delivery in list(hand.open):
                    hand.journal.about_to_send(delivery)
                    self.arrived[delivery] += 1
                    hand.end(delivery, ACCEPTED)
                self._give_up(hand)
                self.begin(0)
            hand.journal.close()
            self.hands.clear()
        self.all_promises_are_kept()
        left = set(self._states().values())
        assert not {DeliveryState.PLANNED, DeliveryState.SENDING, DeliveryState.DEFERRED} & left, left

    # How it is told

    def _was_told(self, hand: Hand) -> None:
        self.known |= {delivery for delivery, outcome in hand.told.items() if outcome is ACCEPTED}
        hand.handed_in()

    def _give_up(self, hand: Hand) -> None:
        """Give the lease back as the engine does: what is on the wire is waited for, the rest was never sent."""
        assert hand.lease is not None
        for delivery, begun in list(hand.open.items()):
            self.arrived[delivery] += begun is None
            hand.end(delivery, ACCEPTED if begun is None else UNSENT)
        hand.ledger.settle(hand.lease, dict(hand.told), 0)
        self._was_told(hand)
        hand.ledger.release(hand.lease)
        hand.lease = None

    def _undotted(self) -> list[tuple[Hand, int]]:
        return [
            (hand, delivery)
            for hand in self.hands
            for delivery, begun in hand.open.items()
            if begun is not None and self.passed - begun <= FRESH
        ]

    def _dotted(self) -> list[tuple[Hand, int]]:
        return [(hand, delivery) for hand in self.hands for delivery, begun in hand.open.items() if begun is None]

    def _states(self) -> dict[int, DeliveryState]:
        db.session.commit()
        self._last = {
            row.id: row.state for row in db.session.execute(select(Delivery.id, Delivery.state).order_by(Delivery.id))
        }
        return self._last

    def _unknown(self) -> list[int]:
        """Return what was unknown when the promises were last looked at: a moment ago."""
        return [delivery for delivery, state in self._last.items() if state is DeliveryState.UNKNOWN]


def _pick(those: list, which: int):  # type: ignore[no-untyped-def,type-arg]  # of any kind
    return those[which % len(those)]


def abandon(journal: Journal) -> list[Path]:
    """Leave a journal as kill -9 does: the files stay, their locks go."""
    for side in journal._sides:
        os.close(side.fd)
    return [side.path for side in journal._sides]


@dataclass
class Clock:
    """The wall clock of all workers."""

    now: datetime.datetime = NOW


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that stands still until it is moved; chunks so small that there are several."""
    clock = Clock()
    monkeypatch.setattr(ledgers, "utc_now", lambda: clock.now)
    monkeypatch.setattr(world, "utc_now", lambda: clock.now)
    monkeypatch.setattr(planning, "CHUNK", 4)
    return clock


def test_no_history_loses_or_doubles_anybody(app_on_each: Flask, tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "journals").mkdir()
    machine = type("History", (Histories,), {"app": app_on_each, "folder": tmp_path / "journals", "clock": clock})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=int(given("CHAOS_EXAMPLES") or 12),
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
