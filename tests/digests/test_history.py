"""Over random histories: nobody gets an article twice, and everyone gets what was published while they subscribed."""

import datetime
from collections import defaultdict

import hypothesis.strategies as st
import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.audience import consent, preferences
from newsletter.audience.marks import open_reading
from newsletter.audience.models import EndedReason, Subscriber, Subscription, SubscriptionState
from newsletter.content.models import Article, ArticleCategory
from newsletter.content.numbers import take_numbers
from newsletter.digests import editing, returning
from newsletter.digests.models import Run, RunState
from newsletter.foundation.db import db
from tests.conftest import NOW
from tests.digests.newsroom import Newsroom

ZONES = ["Europe/Berlin", "America/New_York", "Pacific/Kiritimati"]
READERS = 2
CATEGORIES = 3

readers = st.integers(0, READERS - 1)
category_sets = st.sets(st.integers(0, CATEGORIES - 1), min_size=1)
choices = st.dictionaries(st.integers(0, CATEGORIES - 1), st.integers(0, 1), min_size=0, max_size=CATEGORIES)


class History(RuleBasedStateMachine):
    """What can happen to a newsletter, in any order. `received` and `owed` are the model."""

    session: Session

    @initialize()
    def open(self) -> None:
        self.room = room = Newsroom(self.session, NOW)
        self.categories = [room.category(f"C{each}", position=each) for each in range(CATEGORIES)]
        self.cadences = [
            room.cadence("daily", max_per_category=10_000),
            room.cadence("weekly", weekdays="1", max_per_category=10_000),
        ]
        self.readers = [room.reader(self.cadences[0], self.categories[:2], zone) for zone in ZONES[:READERS]]
        self.received: defaultdict[int, set[int]] = defaultdict(set)
        self.owed: defaultdict[int, dict[int, set[int]]] = defaultdict(dict)
        """Reader to story to the categories they want it through."""
        self.stories: dict[int, int] = {}
        """Article to the one that told its story first, where that is another."""
        self.excused: defaultdict[int, set[int]] = defaultdict(set)
        """Reader to stories that they gave up while a mail with them waited."""
        self.waiting: list[tuple[Run, int, int]] = []
        self.left: dict[int, list[int]] = {}
        self.future: list[int] = []
        self.articles: list[int] = []
        # Others, of whom a missing WHERE would make recipients: another pace, suppressed, unconfirmed, gone.
        never = room.cadence("never", weekdays="3", hour=23, max_lateness_minutes=1)
        suppressed = room.reader(self.cadences[0], self.categories)
        unconfirmed = room.reader(self.cadences[0], self.categories)
        gone = room.reader(self.cadences[0], self.categories, ZONES[1])
        self.strangers = {room.reader(never, self.categories), suppressed, unconfirmed, gone}
        room.suppress(suppressed)
        self.session.get_one(Subscriber, unconfirmed).confirmed_at = None
        room.choose(gone, {})

    # Articles.

    @rule(each=st.lists(category_sets, min_size=1, max_size=4))
    def publish(self, each: list[set[int]]) -> None:
        for categories in each:
            article = self.room.article([self.categories[each] for each in categories])
            self.articles.append(article.id)
            self.owe(article.id)

    @rule(categories=category_sets, hours=st.integers(1, 60))
    def publish_ahead(self, categories: set[int], hours: int) -> None:
        ahead = self.room.now + datetime.timedelta(hours=hours)
        ids = [self.categories[each] for each in categories]
        article = self.room.article(ids, numbered=False, available_at=ahead, published_at=ahead)
        self.future.append(article.id)

    @rule(data=st.data(), categories=category_sets)
    def publish_again(self, data: st.DataObject, categories: set[int]) -> None:
        """Another source brings the story into categories that it is not in yet (content/numbering.py)."""
        if not self.articles:
            return
        known = self.session.get_one(Article, data.draw(st.sampled_from(self.articles)))
        told = select(Article.id).where(Article.canonical_hash == known.canonical_hash)
        taken = select(ArticleCategory.category_id).where(ArticleCategory.article_id.in_(told))
        free = {self.categories[each] for each in categories} - set(self.session.scalars(taken))
        stopped = told.where(Article.held_at.is_not(None) | Article.withdrawn_at.is_not(None))
        if free and self.session.scalar(stopped) is None:
            article = self.room.article(sorted(free), canonical_hash=known.canonical_hash)
            self.stories[article.id] = self.story(known.id)
            self.articles.append(article.id)
            self.owe(article.id)

    @rule(data=st.data())
    def hold(self, data: st.DataObject) -> None:
        if self.articles:
            article = editing.hold(self.session, data.draw(st.sampled_from(self.articles)), self.room.now)
            if article.digested_at is not None:
                # It keeps its place, so those who were to have it later may miss it: else others got it twice.
                self.forget(article.id)

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        if self.articles:
            self.let_go(data.draw(st.sampled_from(self.articles)))

    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        if self.articles:
            article_id = data.draw(st.sampled_from(self.articles))
            self.articles.remove(article_id)
            editing.withdraw(self.session, article_id, self.room.now)
            self.forget(article_id)

    # Readers.

    @rule(reader=readers, wanted=choices)
    def choose(self, reader: int, wanted: dict[int, int]) -> None:
        self.left.pop(self.readers[reader], None)
        self.room.choose(
            self.readers[reader],
            {self.categories[category]: self.cadences[cadence].id for category, cadence in wanted.items()},
        )
        self.dropped(self.readers[reader])

    @rule(reader=readers)
    def leave(self, reader: int) -> None:
        reading = open_reading(self.session, self.readers[reader], self.room.now)
        if reading.active:
            self.left[self.readers[reader]] = [row.category_id for row in reading.active]
        for row in reading.active:
            reading.end(row, EndedReason.LEFT, None)
        reading.store(self.session)
        self.dropped(self.readers[reader])

    @rule(reader=readers)
    def undo_leaving(self, reader: int) -> None:
        subscriber = self.readers[reader]
        categories = self.left.pop(subscriber, [])
        rows = select(Subscription).where(Subscription.subscriber_id == subscriber).order_by(Subscription.id)
        last = {row.category_id: row for row in self.session.scalars(rows) if row.category_id in categories}
        cadences = {row.cadence_id for row in last.values()}
        reading = open_reading(self.session, subscriber, self.room.now, cadence_ids=cadences)
        for row in last.values():
            if reading.current(row.category_id) is None:
                reading.restore(row, self.session)
        reading.store(self.session)

    @rule(reader=readers, zone=st.sampled_from(ZONES))
    def move(self, reader: int, zone: str) -> None:
        wish = preferences.Wish(timezone=zone)
        preferences.change(self.session, self.readers[reader], wish, self.room.now, consent.NOWHERE)

    @rule(reader=readers)
    def pause(self, reader: int) -> None:
        preferences.pause(self.session, self.readers[reader], self.room.now)

    @rule(reader=readers)
    def resume(self, reader: int) -> None:
        preferences.resume(self.session, self.readers[reader], self.room.now)

    # Digests.

    @rule(steps=st.integers(1, 6), at_once=st.booleans())
    def time_passes(self, steps: int, at_once: bool) -> None:
        for _ in range(steps):
            self.room.tick(hours=5)
            self.number_what_waited()
            self.send(self.room.due(), at_once)

    @rule(hours=st.integers(24, 200), at_once=st.booleans())
    def nothing_runs_for_long(self, hours: int, at_once: bool) -> None:
        self.room.tick(hours=hours)
        self.number_what_waited()
        self.send(self.room.due(), at_once)

    @rule(cadence=st.integers(0, 1), at_once=st.booleans())
    def operator_sends(self, cadence: int, at_once: bool) -> None:
        self.send([self.room.manual(self.cadences[cadence])], at_once)

    @rule()
    def mail_goes_out(self) -> None:
        waiting, self.waiting = self.waiting, []
        for run, reader, after in waiting:
            if self.session.get_one(Subscriber, reader).paused_at is not None:
                returning.give_back(self.session, run, [(reader, after)])
            else:
                self.deliver(run, reader, after)

    @invariant()
    def forget_what_is_loaded(self) -> None:
        self.session.flush()
        self.session.expire_all()

    def teardown(self) -> None:
        if hasattr(self, "room"):
            self.mail_goes_out()
            for article_id in self.articles:
                self.let_go(article_id)
            self.room.tick(hours=100)
            self.number_what_waited()
            for reader in self.readers:
                preferences.resume(self.session, reader, self.room.now)
            for cadence in self.cadences:
                self.send([self.room.manual(cadence)], at_once=True)
            missed = {reader: set(owed) for reader, owed in self.owed.items() if owed}
            assert not missed

    # The model.

    def owe(self, article_id: int) -> None:
        article_categories = set(
            self.session.scalars(select(ArticleCategory.category_id).where(ArticleCategory.article_id == article_id))
        )
        for reader in self.readers:
            wanted = article_categories & self.active(reader)
            story = self.story(article_id)
            if wanted and story not in self.received[reader] | self.excused[reader]:
                self.owed[reader].setdefault(story, set()).update(wanted)

    def send(self, runs: list[Run], at_once: bool) -> None:
        for run in runs:
            planned = self.room.planned[run.id]
            assert not self.strangers & {reader for reader, _ in planned}
            assert len({reader for reader, _ in planned}) == len(planned)
            assert (run.state is RunState.SENDING) == bool(planned)
            if at_once:
                for reader, after in planned:
                    assert self.deliver(run, reader, after), "planned for somebody who gets nothing"
            else:
                self.waiting += [(run, reader, after) for reader, after in planned]

    def deliver(self, run: Run, reader: int, after: int) -> bool:
        selection = self.room.selector(run).select(self.session, [(reader, after)])[reader]
        got = [self.story(article) for section in selection.sections for article in section.article_ids]
        twice = self.received[reader] & set(got)
        assert not twice
        assert len(set(got)) == len(got)
        self.received[reader] |= set(got)
        for story in got:
            self.owed[reader].pop(story, None)
        return bool(got)

    def dropped(self, reader: int) -> None:
        """Whoever gives a category up gives up what it had for them."""
        still = self.active(reader)
        mail_waits = any(waiting == reader for _, waiting, _ in self.waiting)
        for story, wanted in list(self.owed[reader].items()):
            # Mail that waits counted for all of the article's categories when it was planned.
            if not wanted & still or (mail_waits and wanted - still):
                del self.owed[reader][story]
                if mail_waits:
                    self.excused[reader].add(story)

    def forget(self, article_id: int) -> None:
        for owed in self.owed.values():
            owed.pop(self.story(article_id), None)

    def story(self, article_id: int) -> int:
        return self.stories.get(article_id, article_id)

    def let_go(self, article_id: int) -> None:
        before = self.session.get_one(Article, article_id).number
        if editing.release(self.session, article_id, self.room.now).number != before:
            self.owe(article_id)

    def number_what_waited(self) -> None:
        """What the content room does each minute."""
        for article_id in list(self.future):
            article = self.session.get_one(Article, article_id)
            assert article.available_at is not None
            if article.available_at <= self.room.now:
                article.number = take_numbers(self.session, 1)[0]
                self.session.flush()
                self.future.remove(article_id)
                self.articles.append(article_id)
                self.owe(article_id)

    def active(self, reader: int) -> set[int]:
        return set(
            self.session.scalars(
                select(Subscription.category_id).where(
                    Subscription.subscriber_id == reader, Subscription.state == SubscriptionState.ACTIVE
                )
            )
        )


def live(session: Session, examples: int) -> None:
    """Let `examples` histories happen, each inside the one transaction that is rolled back in the end."""

    class Lived(History):
        def __init__(self) -> None:
            super().__init__()
            self.session = session

        def teardown(self) -> None:
            try:
                super().teardown()
            finally:
                session.rollback()

    run_state_machine_as_test(
        Lived,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            database=None,
            # Shrinking a history takes minutes; add Phase.shrink to look into one.
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_nobody_gets_an_article_twice_or_misses_one(session: Session) -> None:
    live(session, 25)


@pytest.mark.postgres
def test_nor_do_they_on_postgresql(app_on_each: Flask) -> None:
    if db.engine.dialect.name == "postgresql":
        live(db.session(), 6)
