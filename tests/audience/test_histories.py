"""Random histories of one reader against a model in plain dictionaries.

The model says what they get, what they agreed to, and which articles they are owed; a run is played as the digests room
does it (own mark, else the zone's cut). Whatever the history: nothing twice, nothing owed is missing, no mail without
consent.
"""

import datetime
import itertools
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
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

from newsletter.audience import confirmation, consent, leaving, preferences, suppression, undoing
from newsletter.audience.confirmation import ConfirmationState
from newsletter.audience.models import Cut, SignupRequest, Subscriber, Subscription
from newsletter.audience.preferences import Wish
from newsletter.foundation.db import db, transaction
from newsletter.foundation.errors import ConflictError
from tests.audience.conftest import DAILY, DAY, HOUR, SOURCE, WEEKLY, Room
from tests.conftest import NOW

ZONES = ("Europe/Berlin", "Asia/Tokyo")
PACES = (DAILY, WEEKLY)
CATEGORIES = (1, 2, 3)
SECOND = datetime.timedelta(seconds=1)
Digests = list[tuple[int, str]]
_readers = itertools.count()

some_categories = st.lists(st.sampled_from(CATEGORIES), min_size=1, unique=True)
some_choices = st.dictionaries(st.sampled_from(CATEGORIES), st.sampled_from(PACES))
some_zone = st.sampled_from(ZONES)
some_digests = st.lists(st.sampled_from([(pace, zone) for pace in PACES for zone in ZONES]), unique=True)
"""What goes out between two acts, after articles came."""


@dataclass
class Asked:
    """A mail with a button."""

    id: int
    at: datetime.datetime
    categories: list[int]
    cadence: int
    zone: str
    state: str = "open"


@dataclass
class Done:
    """A change that could be undone."""

    id: int
    at: datetime.datetime
    ended: dict[int, tuple[int, int | None]]
    owed: dict[int, set[int]] = field(default_factory=dict)
    pause: bool = False
    withdrew: bool = False
    undone: bool = False


class Histories(RuleBasedStateMachine):
    room: Room

    def __init__(self) -> None:
        super().__init__()
        self.address = f"reader{next(_readers)}@example.org"
        self.now = NOW
        self.number = max(db.session().scalars(select(Cut.number)), default=0)
        self.reader: int | None = None
        self.confirmed = self.suppressed = self.refused = self.paused = False
        self.consent = False
        self.zone = ZONES[0]
        self.current: dict[int, tuple[int, int | None]] = {}
        self.asked: list[Asked] = []
        self.done: list[Done] = []
        self.articles: dict[int, list[int]] = {category: [] for category in CATEGORIES}
        self.had: dict[int, set[int]] = {category: set() for category in CATEGORIES}
        self.owed: dict[int, set[int]] = {}

    @property
    def choices(self) -> dict[int, int]:
        return {category: cadence for category, (cadence, _) in self.current.items()}

    def begin(self, category: int, cadence: int, change: int | None) -> None:
        if category not in self.current:
            self.owed[category] = set()
            for done in self.done:  # what an earlier choice was owed is settled by beginning anew
                done.owed.pop(category, None)
        self.current[category] = (cadence, change)

    def end(self, category: int) -> None:
        del self.current[category]
        del self.owed[category]

    @initialize(choices=some_choices, zone=some_zone)
    def begin_as_a_reader(self, choices: dict[int, int], zone: str) -> None:
        """Or as a stranger, when nothing is chosen."""
        if not choices:
            return
        self.reader = self.room.reader(self.address, self.now, categories=(4,), timezone=zone)
        with transaction() as session:
            preferences.change(session, self.reader, Wish(choices=choices), self.now, SOURCE)
        self.zone, self.confirmed, self.consent = zone, True, True
        for category, cadence in choices.items():
            self.begin(category, cadence, None)

    # What readers do

    @rule(categories=some_categories, cadence=st.sampled_from(PACES), zone=some_zone, digests=some_digests)
    def sign_up(self, categories: list[int], cadence: int, zone: str, digests: Digests) -> None:
        self.live(digests)
        self.now += 9 * HOUR
        before = len(self.room.asked(self.address))
        id_ = self.room.request(self.address, self.now, categories=categories, cadence=cadence, timezone=zone)
        self.room.process(self.now)
        outcome = db.session().get_one(SignupRequest, id_, populate_existing=True).outcome
        asked = self.room.asked(self.address)
        already = self.consent and all(self.choices.get(category) == cadence for category in categories)
        if self.suppressed or self.refused:
            assert outcome == "suppressed"
        elif already:
            assert outcome in ("already", "capped")
        else:
            assert outcome in ("confirmation", "capped")
        assert (len(asked) > before) == (outcome in ("confirmation", "already"))
        if outcome == "confirmation":
            self.asked.append(Asked(asked[-1].id, self.now, categories, cadence, zone))
            self.reader = asked[-1].subscriber_id

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), digests=some_digests)
    def press_the_button(self, data: st.DataObject, digests: Digests) -> None:
        self.live(digests)
        mail = data.draw(st.sampled_from(self.asked))
        view = self.room.confirm(mail.id, self.now)
        if mail.state == "confirmed":
            assert view.state is ConfirmationState.CONFIRMED
        elif mail.state == "refused" or self.suppressed:
            assert view.state is ConfirmationState.REFUSED
        elif self.now >= mail.at + 2 * DAY:
            assert view.state is ConfirmationState.EXPIRED
        else:
            assert view.state is ConfirmationState.CONFIRMED
            mail.state = "confirmed"
            self.confirmed = self.consent = True
            for done in self.done:
                done.withdrew = False
            if not self.current:
                self.zone, self.paused = mail.zone, False
            for category in mail.categories:
                if self.choices.get(category) != mail.cadence:
                    self.begin(category, mail.cadence, None)

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def say_it_was_not_me(self, data: st.DataObject) -> None:
        mail = data.draw(st.sampled_from(self.asked))
        with transaction() as session:
            confirmation.refuse(session, mail.id, self.now)
        if mail.state == "confirmed":
            return
        for other in self.asked:
            if other.state == "open":
                other.state = "refused"
        if self.current:
            self.refused = True
        else:
            self.suppressed = True

    @precondition(lambda self: self.suppressed or self.refused)
    @rule()
    def lift(self) -> None:
        with transaction() as session:
            suppression.lift(session, self.room.hasher, self.address)
        self.suppressed = self.refused = False

    @precondition(lambda self: self.reader)
    @rule(cadence=st.sampled_from((None, *PACES)), digests=some_digests)
    def leave(self, cadence: int | None, digests: Digests) -> None:
        self.live(digests)
        assert self.reader
        self.now += SECOND
        with transaction() as session:
            if cadence is None:
                left = leaving.leave_all(session, self.reader, self.now, SOURCE)
            else:
                left = leaving.leave_cadence(session, self.reader, cadence, self.now, SOURCE)
        ending = {c: row for c, row in self.current.items() if cadence in (None, row[0])}
        assert set(left.category_ids) == set(ending)
        self.note_leaving(left.change_id, ending)

    def note_leaving(self, change_id: int | None, ending: dict[int, tuple[int, int | None]]) -> None:
        withdraws = self.consent and len(ending) == len(self.current)
        if ending or withdraws:
            assert change_id is not None
            owed = {category: set(self.owed[category]) for category in ending}
            self.done.append(Done(change_id, self.now, ending, owed, withdrew=withdraws))
        for category in ending:
            self.end(category)
        if withdraws:
            self.consent = False

    @precondition(lambda self: self.reader)
    @rule(choices=some_choices, zone=some_zone, digests=some_digests)
    def choose(self, choices: dict[int, int], zone: str, digests: Digests) -> None:
        self.live(digests)
        assert self.reader
        self.now += SECOND
        wish = Wish(choices=choices, timezone=zone)
        try:
            with transaction() as session:
                change = preferences.change(session, self.reader, wish, self.now, SOURCE)
        except ConflictError:
            assert not self.consent
            return
        assert self.consent or not choices
        self.zone = zone
        if not choices:
            self.note_leaving(change, dict(self.current))
            return
        if choices == self.choices:
            assert change is None
            return
        assert change is not None
        ended = {c: row for c, row in self.current.items() if choices.get(c) != row[0]}
        owed = {category: set(self.owed[category]) for category in ended}
        self.done.append(Done(change, self.now, ended, owed))
        for category in set(ended) - set(choices):
            self.end(category)
        for category, cadence in choices.items():
            if self.choices.get(category) != cadence:
                self.begin(category, cadence, change)

    @precondition(lambda self: self.reader)
    @rule(zone=some_zone, digests=some_digests)
    def move(self, zone: str, digests: Digests) -> None:
        self.live(digests)
        assert self.reader
        with transaction() as session:
            preferences.change(session, self.reader, Wish(timezone=zone), self.now, SOURCE)
        self.zone = zone

    @precondition(lambda self: self.reader)
    @rule(days=st.sampled_from((None, 1, 30)), digests=some_digests)
    def pause(self, days: int | None, digests: Digests) -> None:
        self.live(digests)
        assert self.reader
        until = None if days is None else self.now + days * DAY
        with transaction() as session:
            change = preferences.pause(session, self.reader, self.now, until)
        assert (change is None) == self.paused
        if change is not None:
            self.done.append(Done(change, self.now, {}, pause=True))
        self.paused = True

    @precondition(lambda self: self.paused)
    @rule(digests=some_digests)
    def resume(self, digests: Digests) -> None:
        self.live(digests)
        assert self.reader
        with transaction() as session:
            preferences.resume(session, self.reader, self.now)
        self.paused = False

    @precondition(lambda self: self.done)
    @rule(data=st.data(), digests=some_digests)
    def undo(self, data: st.DataObject, digests: Digests) -> None:
        self.live(digests)
        done = data.draw(st.sampled_from(self.done))
        allowed = done.undone or (
            not self.suppressed and self.now <= done.at + 7 * DAY and (done.pause or self.consent or done.withdrew)
        )
        try:
            with transaction() as session:
                assert undoing.undo(session, done.id, self.now, SOURCE) == self.reader
        except ConflictError:
            assert not allowed
            return
        assert allowed
        if done.undone:
            return
        done.undone = True
        if done.pause:
            self.paused = False
        if done.withdrew:
            self.consent = True
            for other in self.done:
                other.withdrew = False
        moved = {c: self.owed[c] for c, (_, change) in self.current.items() if change == done.id}
        for category in moved:
            self.end(category)
        for category, row in done.ended.items():
            if category not in self.current:
                self.current[category] = row
                owed = moved.get(category, done.owed.get(category, set()))
                self.owed[category] = owed - self.had[category]

    # What else happens

    @rule(hours=st.integers(1, 60))
    def wait(self, hours: int) -> None:
        self.now += hours * HOUR

    @precondition(lambda self: self.paused)
    @rule()
    def pauses_end(self) -> None:
        with transaction() as session:
            due = session.scalars(select(Subscriber.id).where(Subscriber.paused_until <= self.now)).all()
            preferences.resume_due(session, self.now)
        if self.reader in due:
            self.paused = False

    @rule(digests=some_digests)
    def live(self, digests: Digests) -> None:
        """An article comes in every category, then these digests go out."""
        for category in CATEGORIES:
            self.number += 1
            self.articles[category].append(self.number)
            for owed in (self.owed, *(done.owed for done in self.done)):
                if category in owed:
                    owed[category].add(self.number)
        for cadence, zone in digests:
            self.digest(cadence, zone)

    def digest(self, cadence: int, zone: str) -> None:
        self.number += 1
        got: dict[int, list[int]] = {}
        with transaction() as session:
            cut = session.get(Cut, (cadence, zone), populate_existing=True)
            if cut is None:
                return
            for row in session.scalars(
                select(Subscription)
                .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
                .where(
                    Subscription.cadence_id == cadence,
                    Subscription.state == "active",
                    Subscriber.paused_at.is_(None),
                    Subscriber.timezone == zone,
                    Subscriber.id == (self.reader or 0),
                )
                .execution_options(populate_existing=True)
            ):
                read = cut.number if row.mark is None else row.mark
                got[row.category_id] = [n for n in self.articles[row.category_id] if read < n <= self.number]
                row.mark = None
            cut.number = self.number
        if self.reader is None or self.paused or self.zone != zone:
            assert got == {}
            return
        assert set(got) == {category for category, pace in self.choices.items() if pace == cadence}
        for category, numbers in got.items():
            assert self.had[category].isdisjoint(numbers), "an article came twice"
            self.had[category].update(numbers)
            assert self.owed[category] <= self.had[category], "an article was missed"
            self.owed[category].clear()

    @invariant()
    def database_and_model_agree(self) -> None:
        if self.reader is None:
            return
        session = db.session()
        session.rollback()
        shown: Any = session.get_one(Subscriber, self.reader, populate_existing=True)
        assert self.room.choices(self.reader) == self.choices
        assert (shown.paused_at is not None) == self.paused
        assert (shown.confirmed_at is not None) == self.confirmed
        assert not self.confirmed or shown.timezone == self.zone
        standing = consent.standing(session, [self.reader])[self.reader]
        assert (consent.NEWSLETTER in standing) == self.consent
        assert self.consent or not self.current, "mail without consent"
        for row in self.room.subscriptions(self.reader):
            assert (row.state.value == "ended") == (row.ended_at is not None)
            assert row.state.value != "ended" or row.mark is not None
        session.rollback()


@pytest.mark.timeout(240)
def test_no_history_misses_an_article_doubles_one_or_mails_without_consent(room_on_sqlite: Room) -> None:
    machine = type("Histories", (Histories,), {"room": room_on_sqlite})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.reuse, Phase.generate),
        ),
    )
