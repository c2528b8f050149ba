"""`newsletter seed`: generated readers and articles, for trying out and for benchmarks.

Readers are made by a few set-based statements. Their addresses lie under a name that can never exist (RFC 2606), and
the command refuses a database that holds a real person.
"""

import datetime
import hashlib
from typing import Final

import click
from flask.cli import with_appcontext
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy import and_, func, insert, literal, select
from sqlalchemy.orm import Session

from newsletter.audience import cadences, consent, suppression
from newsletter.audience.marks import hold_cuts
from newsletter.audience.models import (
    Consent,
    ConsentAct,
    Cut,
    Subscriber,
    Subscription,
    SubscriptionState,
)
from newsletter.cli import report
from newsletter.content import categories
from newsletter.content.models import Article, ArticleCategory, Category
from newsletter.content.numbers import take_numbers
from newsletter.foundation.clock import monotonic, utc_now
from newsletter.foundation.db import analyse, transaction
from newsletter.foundation.errors import ConflictError
from newsletter.foundation.secrets import Hasher
from newsletter.foundation.services import services
from newsletter.publication import identity

DOMAIN: Final = "readers.example"
_ZONES: Final = ("UTC", "Europe/Berlin", "Europe/Berlin", "America/New_York", "Asia/Tokyo")
_LANGUAGES: Final = ("en", "de", "en", "fr")
_GROUP: Final = 5_000
_SUBJECTS: Final = ("Markets open calmly", "A bridge is finished", "The harvest begins", "A vote is counted anew")
_SUMMARY: Final = (
    "This text was generated, so that there is something to read of about the length that a summary on a news site "
    "has: two or three sentences, some forty words in all, which fill two lines of a mail."
)
_MIX: Final = 2_654_435_761
"""Knuth's multiplier: spreads consecutive ids over choices that hang on different parts of them."""


@click.command()
@click.option("--readers", default=1000, show_default=True, type=click.IntRange(0, 10_000_000))
@click.option("--categories", "wanted", default=4, show_default=True, type=click.IntRange(1, 100))
@click.option("--articles", default=40, show_default=True, type=click.IntRange(0, 100_000))
@report.as_json
@with_appcontext
def seed(readers: int, wanted: int, articles: int, as_json: bool) -> None:
    """Fill the database with generated readers, categories and articles. Refuses one that holds real subscribers.

    Run again, it adds more of them; the articles are new to all readers.
    """
    now, begun = utc_now(), monotonic()
    _refuse_real_people()
    with transaction() as session:
        cadences.ensure_defaults(session)
        for number in range(len(categories.listed(session)) + 1, wanted + 1):
            categories.ensure(session, f"Category {number}")
    with _bar() as bar:
        task = bar.add_task("readers", total=readers)
        for first in range(0, readers, _GROUP):
            with transaction() as session:
                count = min(_GROUP, readers - first)
                add_readers(session, services().hasher, count, wanted, now)
            bar.advance(task, count)
        task = bar.add_task("articles", total=articles)
        with transaction() as session:
            add_articles(session, articles, wanted, now)
            analyse(session)
        bar.advance(task, articles)
    report.facts(
        {"readers": readers, "categories": wanted, "articles": articles, "seconds": round(monotonic() - begun, 1)},
        as_json,
    )


def _refuse_real_people() -> None:
    with transaction() as session:
        if session.scalar(select(Subscriber.id).where(Subscriber.generated.is_(False)).limit(1)) is not None:
            raise ConflictError("This database holds real subscribers. Generated ones go only into one without.")
        identity.load(session)


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def add_readers(session: Session, hasher: Hasher, count: int, wanted: int, now: datetime.datetime) -> None:
    """Add readers with one to four of the first `wanted` categories, four of five at the first cadence, confirmed."""
    last = session.scalar(select(func.max(Subscriber.id))) or 0
    domain_hash = suppression.domain_hash(hasher, DOMAIN)
    rows = []
    for number in range(last + 1, last + count + 1):
        address = f"reader-{number}@{DOMAIN}"
        rows.append(
            {
                "address": address,
                "folded": address,
                "address_hash": suppression.address_hash(hasher, address),
                "domain_hash": domain_hash,
                "name": f"Reader {number}",
                "language": _LANGUAGES[number % len(_LANGUAGES)],
                "timezone": _ZONES[number % len(_ZONES)],
                "created_at": now,
                "confirmed_at": now,
                "generated": True,
            }
        )
    session.execute(insert(Subscriber), rows)
    _subscribe(session, last, wanted, now)
    _consent(session, last, now)


def _subscribe(session: Session, after: int, wanted: int, now: datetime.datetime) -> None:
    offered = cadences.listed(session)
    usual, other = offered[0], offered[1 % len(offered)]
    spots = {(cadence.id, zone) for cadence in (usual, other) for zone in _ZONES}
    hold_cuts(session, spots, now)
    rank = func.row_number().over(order_by=(Category.position, Category.id)) - 1
    ranked = select(Category.id, rank.label("rank")).where(Category.archived_at.is_(None)).subquery()
    mixed = Subscriber.id * _MIX % 1_000_003
    takes = and_(ranked.c.rank < wanted, (ranked.c.rank + mixed) % wanted < 1 + mixed % min(wanted, 4))
    for cadence, fifth in ((usual, mixed % 5 != 0), (other, mixed % 5 == 0)):
        chosen = (
            select(
                Subscriber.id,
                ranked.c.id,
                literal(cadence.id),
                literal(SubscriptionState.ACTIVE.value),
                literal(now),
                literal(now),
                Cut.number,
            )
            .join(ranked, takes)
            .join(Cut, and_(Cut.cadence_id == cadence.id, Cut.timezone == Subscriber.timezone))
            .where(Subscriber.id > after, fifth)
        )
        columns = ["subscriber_id", "category_id", "cadence_id", "state", "created_at", "activated_at", "first_number"]
        session.execute(insert(Subscription).from_select(columns, chosen, include_defaults=False))


def _consent(session: Session, after: int, now: datetime.datetime) -> None:
    """Record the newsletter's words in each reader's language, given and confirmed, as a real sign-up does."""
    publication = identity.load(session)
    for language in set(_LANGUAGES):
        (words,) = consent.current_texts(session, publication, [], language, now)
        for act in (ConsentAct.GIVEN, ConsentAct.CONFIRMED):
            agreed = select(
                Subscriber.id,
                literal(words.purpose),
                literal(act.value),
                literal(words.id),
                literal(now),
                literal("seed"),
            ).where(Subscriber.id > after, Subscriber.language == language)
            columns = ["subscriber_id", "purpose", "act", "text_id", "at", "form"]
            session.execute(insert(Consent).from_select(columns, agreed))


def add_articles(session: Session, count: int, wanted: int, now: datetime.datetime) -> None:
    """Add articles that are new to everybody, each in one or two of the first `wanted` categories."""
    if not count:
        return
    offered = categories.listed(session)[:wanted]
    site = identity.load(session).site_url.rstrip("/")
    for number in take_numbers(session, count):
        url = f"{site}/generated/{number}"
        digest = hashlib.sha256(url.encode()).hexdigest()
        subject = _SUBJECTS[number % len(_SUBJECTS)]
        article = Article(
            identity=digest,
            canonical_hash=digest,
            number=number,
            url=url,
            title=f"{subject}: generated article {number}",
            summary=f"{subject}. " + _SUMMARY,
            html=f"<p>{_SUMMARY}</p>",
            author="Generated",
            published_at=now,
            first_seen_at=now,
            updated_at=now,
            available_at=now,
        )
        session.add(article)
        session.flush()
        homes = {offered[number % len(offered)].id} | ({offered[0].id} if number % 4 == 0 else set())
        session.add_all(ArticleCategory(article_id=article.id, category_id=category_id) for category_id in homes)
