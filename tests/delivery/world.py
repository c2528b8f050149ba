"""A small publication with readers and articles, written straight into the tables: what the engine starts from.

It carries noise on purpose (another cadence, another category, people who must get nothing), so that a query without
its WHERE shows.
"""

import datetime
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from flask import Flask
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from newsletter.audience.models import Cadence, Cut, Subscriber, Subscription, SubscriptionState, Suppression
from newsletter.audience.models import SuppressionReason as Why
from newsletter.content.models import Article, ArticleCategory, Category, Counter
from newsletter.delivery import control, starting, watching
from newsletter.delivery.breaking import Breaker
from newsletter.delivery.desk import Desk, Throttle
from newsletter.delivery.endpoints import Endpoint
from newsletter.delivery.engine import Engine
from newsletter.delivery.journal import Journal
from newsletter.delivery.ledger import Ledger
from newsletter.delivery.limits import Grant
from newsletter.delivery.models import Delivery, DeliveryState, Mailing, Tls
from newsletter.delivery.replies import Outcome
from newsletter.delivery.watching import RelayWatch
from newsletter.digests.models import Run
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import transaction
from newsletter.foundation.services import services
from newsletter.publication import dkim
from newsletter.publication.models import Publication

ZONE = "Europe/Berlin"


def build(readers: int, *, articles: int = 3) -> None:
    """Fill the database; `readers` of them take Business daily."""
    now = utc_now()
    with transaction() as session:
        session.add(
            Publication(
                name="The Sample Gazette",
                site_url="https://gazette.example.org",
                postal_address="The Sample Gazette, 1 Press Lane, Sampleton",
                contact_address="editors@gazette.example.org",
                privacy_url="https://gazette.example.org/privacy",
                digest_from="digest@gazette.example.org",
                confirmation_from="hello@gazette.example.org",
                list_domain="lists.gazette.example.org",
                sender_id="gazette",
                timezone=ZONE,
                updated_at=now,
            )
        )
        session.add_all([Category(id=1, slug="business", name="Business"), Category(id=2, slug="world", name="World")])
        session.add_all(
            [
                Cadence(id=1, slug="daily", name="Daily", hour=7, utm={}, copies=[]),
                Cadence(id=2, slug="weekly", name="Weekly", weekdays="1", hour=7, utm={}, copies=[]),
            ]
        )
        session.flush()
        for cadence_id in (1, 2):
            session.add(Cut(cadence_id=cadence_id, timezone=ZONE, number=0, period="", since=now))
        _add_articles(session, articles, now)
        _add_readers(session, readers, now)
        _add_noise(session, readers, now)


def _add_articles(session: Session, count: int, now: datetime.datetime) -> None:
    for number in range(1, count + 1):
        session.add(
            Article(
                id=number,
                identity=f"i{number}",
                canonical_hash=f"c{number}",
                number=number,
                url=f"https://gazette.example.org/{number}",
                title=f"Headline {number}",
                summary="Two lines of summary.",
                first_seen_at=now,
                updated_at=now,
                available_at=now,
            )
        )
    session.flush()
    session.execute(insert(ArticleCategory), [{"article_id": n, "category_id": 1} for n in range(1, count + 1)])
    session.execute(update(Counter).where(Counter.name == "article").values(value=count))


def person(number: int, now: datetime.datetime) -> dict[str, object]:
    """One confirmed subscriber as a row."""
    return {
        "id": number,
        "address": f"r{number}@example.org",
        "folded": f"r{number}@example.org",
        "address_hash": f"a{number}",
        "domain_hash": "d",
        "language": "en",
        "timezone": ZONE,
        "created_at": now,
        "confirmed_at": now,
    }


def subscription(number: int, now: datetime.datetime, category_id: int = 1, cadence_id: int = 1) -> dict[str, object]:
    """One active subscription as a row."""
    return {
        "subscriber_id": number,
        "category_id": category_id,
        "cadence_id": cadence_id,
        "state": SubscriptionState.ACTIVE,
        "created_at": now,
        "activated_at": now,
    }


def _add_readers(session: Session, count: int, now: datetime.datetime) -> None:
    if count:
        session.execute(insert(Subscriber), [person(number, now) for number in range(1, count + 1)])
        session.execute(insert(Subscription), [subscription(number, now) for number in range(1, count + 1)])


def _add_noise(session: Session, readers: int, now: datetime.datetime) -> None:
    """Add a weekly reader, a reader of another category, one who is suppressed, one paused, one unconfirmed."""
    ids = range(readers + 1, readers + 6)
    session.execute(insert(Subscriber), [person(number, now) for number in ids])
    session.execute(
        insert(Subscription),
        [
            subscription(ids[0], now, cadence_id=2),
            subscription(ids[1], now, category_id=2),
            *(subscription(number, now) for number in ids[2:]),
        ],
    )
    session.add(Suppression(hash=f"a{ids[2]}", reason=Why.COMPLAINT, created_at=now))
    session.execute(update(Subscriber).where(Subscriber.id == ids[3]).values(paused_at=now))
    session.execute(update(Subscriber).where(Subscriber.id == ids[4]).values(confirmed_at=None))


def start(key: str = "key") -> Run:
    """Trigger the daily digest."""
    with transaction() as session:
        return starting.start_manual(session, 1, key, "an operator", utc_now())


class Free:
    """A throttle that holds nobody back, and remembers what it was told."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Outcome]] = []

    def ask(self, relay_id: int, mailing_id: int, per_hour: int | None, wanted: int, *, bulk: bool) -> Grant:
        return Grant(wanted)

    def give_back(self, relay_id: int, mailing_id: int, per_hour: int | None, unused: int) -> None:
        pass

    def sort_out(
        self, domains: Mapping[int, str], now: datetime.datetime, *, bulk: bool
    ) -> dict[int, datetime.datetime]:
        return {}

    def lanes(self, domains: Mapping[int, str], now: datetime.datetime) -> dict[int, tuple[str, int]]:
        return {}

    def connections(self, relay_id: int, wanted: int) -> int:
        return wanted

    def close(self) -> None:
        pass

    def observe(self, relay_id: int, seen: Iterable[tuple[str, Outcome]], now: datetime.datetime) -> None:
        self.seen += seen


def sign() -> None:
    """Have the publication's mail signed."""
    with transaction() as session:
        key = dkim.generate(session, services().vault, "gazette.example.org", utc_now())
        dkim.activate(session, key, utc_now())


def engine(
    app: Flask,
    folder: Path,
    port: int,
    owner: str = "host:1:a",
    connections: int = 3,
    throttle: Throttle | None = None,
    ending: Callable[[], bool] = bool,
    ledger: type[Ledger] = Ledger,
    usable: Callable[[str, str], list[Endpoint]] | None = None,
) -> Engine:
    """An engine that sends to the sink at `port`, or to what is `usable`."""
    relay = Endpoint("127.0.0.1", port, Tls.OPPORTUNISTIC, connections=connections)
    watch = RelayWatch(app)

    def only_one(_sender: str, _stream: str) -> list[Endpoint]:
        return [] if watch.paused(relay.id) else [relay]

    def broken(mailing_id: int, because: str) -> None:
        with app.app_context(), transaction() as session:
            control.pause_by_itself(session, mailing_id, because, utc_now())

    def hold(relay_id: int, because: str) -> None:
        with app.app_context(), transaction() as session:
            watching.hold(session, relay_id, utc_now(), because=because)

    relays, limits = usable or only_one, throttle or Free()
    desk = Desk(ledger(app, owner), relays, lambda *_: None, limits, watch, Breaker(), broken, hold)
    return Engine(desk, partial(Journal, folder, owner), ending)


def states(session: Session) -> dict[str, int]:
    """State to number of deliveries, counted from the rows, and proved against the mailing's own counters."""
    session.commit()
    counted: dict[str, int] = dict.fromkeys((state.value for state in DeliveryState), 0)
    for state in session.scalars(select(Delivery.state)):
        counted[state.value] += 1
    kept: dict[str, int] = dict.fromkeys(counted, 0)
    for mailing in session.scalars(select(Mailing).execution_options(populate_existing=True)):
        for name, number in mailing.counts.items():
            kept[name] += number
    assert kept == counted, "the mailings' counters and the deliveries disagree"
    return {name: number for name, number in counted.items() if number}
