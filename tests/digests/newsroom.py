"""A newsroom and its readers, to try digests on: short words for what other rooms do in many."""

import datetime
import hashlib
import itertools
from collections.abc import Iterable, Sequence
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.audience.marks import open_reading
from newsletter.audience.models import Cadence, Cut, EndedReason, Subscriber, Suppression, SuppressionReason
from newsletter.content.models import Article, ArticleCategory, Category
from newsletter.content.numbers import take_numbers
from newsletter.digests import opening
from newsletter.digests.arranging import Selection
from newsletter.digests.due import due_waves
from newsletter.digests.models import Run
from newsletter.digests.readers import readers_of
from newsletter.digests.selection import Selector

T = TypeVar("T")
_COUNT = itertools.count(1)


class Newsroom:
    """Makes rows in one session. `now` is the newsroom's clock; tests move it."""

    def __init__(self, session: Session, now: datetime.datetime) -> None:
        self.session, self.now = session, now
        self.planned: dict[int, list[tuple[int, int]]] = {}
        """Run to its readers, as the deliveries would have them."""
        self._selectors: dict[int, Selector] = {}

    def tick(self, **delta: float) -> None:
        """Move the clock."""
        self.now += datetime.timedelta(**delta)

    def category(self, name: str, position: int = 0) -> int:
        category = Category(slug=f"{name.lower()}-{next(_COUNT)}", name=name, position=position)
        return self._stored(category).id

    def cadence(self, slug: str, weekdays: str = "1234567", hour: int = 7, **more: object) -> Cadence:
        return self._stored(Cadence(slug=slug, name=slug.title(), weekdays=weekdays, hour=hour, **more))

    def reader(self, cadence: Cadence, categories: Iterable[int], timezone: str = "Europe/Berlin") -> int:
        """A confirmed reader, signed up the way the audience room does it."""
        address = f"reader{next(_COUNT)}@example.com"
        subscriber = self._stored(
            Subscriber(
                address=address,
                folded=address,
                address_hash=hashlib.md5(address.encode()).hexdigest(),
                domain_hash=hashlib.md5(b"example.com").hexdigest(),
                language="en",
                timezone=timezone,
                created_at=self.now,
                confirmed_at=self.now,
            )
        )
        self.choose(subscriber.id, dict.fromkeys(categories, cadence.id))
        return subscriber.id

    def choose(self, reader: int, choices: dict[int, int]) -> None:
        """Make these the reader's only categories, each at its cadence, as the preferences page does."""
        reading = open_reading(self.session, reader, self.now, cadence_ids=set(choices.values()))
        for row in reading.active:
            if row.category_id not in choices:
                reading.end(row, EndedReason.CHANGED, None)
        for category, cadence in choices.items():
            reading.choose(category, cadence)
        reading.store(self.session)
        self.session.expire_all()

    def article(self, categories: Sequence[int], title: str = "", *, numbered: bool = True, **more: object) -> Article:
        count = next(_COUNT)
        article = Article(
            identity=f"a{count}",
            url=f"https://news.example.org/{count}",
            title=title or f"Article {count}",
            first_seen_at=self.now,
            updated_at=self.now,
            number=take_numbers(self.session, 1)[0] if numbered else None,
            **({"canonical_hash": f"c{count}", "published_at": self.now, "available_at": self.now} | more),
        )
        self._stored(article)
        self.session.add_all(ArticleCategory(article_id=article.id, category_id=each) for each in categories)
        self.session.flush()
        return article

    def suppress(self, reader: int) -> None:
        hashed = self.session.get_one(Subscriber, reader).address_hash
        self._stored(Suppression(hash=hashed, reason=SuppressionReason.OPERATOR, created_at=self.now))

    def manual(self, cadence: Cadence, key: str = "") -> Run:
        """Open and close a manual run."""
        run = opening.open_manual(self.session, cadence, key or f"key-{next(_COUNT)}", "operator", self.now)
        assert run is not None
        self.plan(run)
        return run

    def due(self) -> list[Run]:
        """Do what the tick does; return the runs that go out or are skipped for want of news."""
        runs = []
        for wave in due_waves(self.session, self.now):
            if wave.late:
                opening.skip(self.session, wave, self.now)
                continue
            run = opening.open_run(self.session, wave.cadence, wave.period, wave.wave, wave.zones, self.now)
            if run is not None:
                self.plan(run)
                runs.append(run)
        return runs

    def plan(self, run: Run) -> list[tuple[int, int]]:
        """Count the run's readers, close it and return them."""
        planned = [(row.subscriber_id, row.after_number) for row in self.session.execute(readers_of(self.session, run))]
        opening.close(self.session, run, len(planned), self.now)
        self.session.expire_all()
        self.planned[run.id] = planned
        return planned

    def sent(self, run: Run) -> dict[int, Selection]:
        """What each reader of the run gets."""
        return self.selector(run).select(self.session, self.planned[run.id])

    def selector(self, run: Run) -> Selector:
        """The run's selector, kept as a worker keeps it."""
        if run.id not in self._selectors:
            self._selectors[run.id] = Selector(self.session, run)
        return self._selectors[run.id]

    def titles(self, selection: Selection) -> list[list[str]]:
        """Headlines by section."""
        names = dict(self.session.execute(select(Article.id, Article.title)).all())
        return [[names[each] for each in section.article_ids] for section in selection.sections]

    def cut(self, cadence: Cadence, timezone: str = "Europe/Berlin") -> Cut:
        self.session.expire_all()
        return self.session.get_one(Cut, (cadence.id, timezone))

    def _stored(self, row: T) -> T:
        self.session.add(row)
        self.session.flush()
        return row
