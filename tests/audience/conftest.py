"""A publication with four categories, two paces and one affiliate, and short ways to sign readers up."""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, replace

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.audience import addresses, cadences, confirmation, consent, signup
from newsletter.audience.models import Confirmation, Consent, Subscriber, Subscription
from newsletter.content.models import Category
from newsletter.foundation.db import db, transaction
from newsletter.foundation.secrets import Hasher
from newsletter.foundation.services import services
from newsletter.publication import affiliates, identity
from tests.conftest import NOW

CATEGORIES = (1, 2, 3, 4)
DAILY, WEEKLY = 1, 2
SOURCE = consent.Client("test-form", "https://example.org/sign-up")
MINUTE = datetime.timedelta(minutes=1)
HOUR = datetime.timedelta(hours=1)
DAY = datetime.timedelta(days=1)


@dataclass
class Room:
    """The audience room of one test, on whichever database."""

    hasher: Hasher
    texts: list[consent.Words]

    @property
    def session(self) -> Session:
        return db.session()

    def request(
        self,
        address: str = "ann@example.org",
        now: datetime.datetime = NOW,
        *,
        categories: Iterable[int] = (1, 2),
        cadence: int = DAILY,
        affiliate: bool = False,
        timezone: str = "Europe/Berlin",
        name: str = "Ann",
        language: str = "en",
    ) -> int:
        wish = signup.Signup(
            address=addresses.check(address),
            category_ids=list(categories),
            cadence_id=cadence,
            language=language,
            timezone=timezone,
            consent_text_ids=[words.id for words in self.texts if affiliate or words.affiliate is None],
            name=name,
            source=SOURCE,
        )
        with transaction() as session:
            return signup.request_signup(session, wish, now)

    def process(self, now: datetime.datetime = NOW) -> int:
        with transaction() as session:
            return signup.process_waiting(session, self.hasher, now)

    def asked(self, address: str | None = None) -> list[Confirmation]:
        """Every mail that was asked for, oldest first."""
        statement = select(Confirmation).order_by(Confirmation.id).execution_options(populate_existing=True)
        if address is not None:
            statement = statement.join(Subscriber, Subscriber.id == Confirmation.subscriber_id).where(
                Subscriber.folded == addresses.fold(address)
            )
        return list(self.session.scalars(statement))

    def confirm(self, confirmation_id: int, now: datetime.datetime = NOW) -> confirmation.ConfirmationView:
        with transaction() as session:
            return confirmation.confirm(session, confirmation_id, now, replace(SOURCE, form="button"))

    def reader(self, address: str = "ann@example.org", now: datetime.datetime = NOW, **wish: object) -> int:
        """Sign up, press the button, and return the reader's id."""
        self.request(address, now, **wish)  # type: ignore[arg-type]  # passed on as they are
        self.process(now)
        return self.confirm(self.asked(address)[-1].id, now).subscriber_id

    def subscriptions(self, subscriber_id: int) -> list[Subscription]:
        return list(
            self.session.scalars(
                select(Subscription)
                .where(Subscription.subscriber_id == subscriber_id)
                .order_by(Subscription.id)
                .execution_options(populate_existing=True)
            )
        )

    def choices(self, subscriber_id: int) -> dict[int, int]:
        return {
            row.category_id: row.cadence_id for row in self.subscriptions(subscriber_id) if row.state.value == "active"
        }

    def acts(self, subscriber_id: int) -> list[tuple[str, str]]:
        rows = self.session.scalars(select(Consent).where(Consent.subscriber_id == subscriber_id).order_by(Consent.id))
        return [(row.purpose, row.act.value) for row in rows]


def _furnished(app: Flask) -> Room:
    with transaction() as session:
        publication = identity.create(
            session, identity.Identity(name="The Gazette", site_url="https://example.org"), NOW
        )
        affiliates.add(session, "acme", "Acme Books")
        cadences.ensure_defaults(session)
        session.add_all(
            Category(id=number, slug=f"c{number}", name=f"Category {number}", position=number) for number in CATEGORIES
        )
        texts = consent.current_texts(session, publication, affiliates.listed(session), "en", NOW)
    return Room(services().hasher, texts)


@pytest.fixture
def room(app_on_each: Flask) -> Room:
    """On SQLite, then on PostgreSQL."""
    return _furnished(app_on_each)


@pytest.fixture
def room_on_sqlite(app: Flask) -> Room:
    """Where SQL is not what is tested."""
    return _furnished(app)
