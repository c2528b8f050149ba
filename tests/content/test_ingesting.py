"""Every document of the reference data, fetched over HTTP and stored, on both databases. Reads ../shared."""

import dataclasses
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from newsletter.content import fetching, sources
from newsletter.content.models import Article, Backlog, Source
from newsletter.content.parser import shared_parser
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.services import services
from newsletter.tasks import content
from tests.content.press import Page, Press, fetcher, rss
from tests.content.test_corpus import FEEDS, NO_FEED, ODD, REAL

pytestmark = pytest.mark.corpus


@pytest.fixture
def presses() -> Iterator[list[Press]]:
    """Several hosts, so that politeness takes no time."""
    made = [Press() for _ in range(12)]
    yield made
    for press in made:
        press.close()


def test_every_document_is_ingested_or_refused_with_a_reason(app_on_each: Flask, presses: list[Press]) -> None:
    if not REAL:
        pytest.skip("The reference feeds are not beside this checkout (../shared/data/feeds).")
    dataclasses.replace(services(), fetcher=fetcher()).install(app_on_each)
    files = [FEEDS / "real-world" / row["file"] for row in REAL] + [FEEDS / "odd-cases" / row["file"] for row in ODD]
    empty = shared_parser().parse(rss())
    names = {}
    with transaction() as session:
        for number, file in enumerate(files):
            url = presses[number % len(presses)].print(f"/{number}/{file.name}", Page(file.read_bytes()))
            found = sources.Found(url, empty)
            added = sources.add(session, found, utc_now(), vault=services().vault, backlog=Backlog.NEW)
            names[added.id] = file.name
    while fetching.anything_due(db.session(), utc_now()):
        content.fetch_due()
    with transaction() as session:
        problems = {names[key]: error for key, error in session.execute(select(Source.id, Source.last_error)) if error}
        articles = select(Source.id, func.count(Article.id)).outerjoin(Article, Article.source_id == Source.id)
        counts = dict(session.execute(articles.group_by(Source.id)).all())
        assert problems.keys() == NO_FEED
        assert all(problem.endswith(".") for problem in problems.values())
        for row, (key, name) in zip(REAL, list(names.items())[: len(REAL)], strict=True):
            repeats = name in {"pcmag-illegally-nested.xml", "suspilne-uk.xml"}
            assert counts[key] == int(row["items"]) or repeats, name
        before = session.scalars(select(func.count(Article.id))).one()
        session.execute(update(Source).where(Source.id % 5 == 0).values(next_attempt_at=utc_now()))
    while fetching.anything_due(db.session(), utc_now()):
        content.fetch_due()
    with transaction() as session:
        assert session.scalars(select(func.count(Article.id))).one() == before
        changed = select(func.count(Article.id)).where(Article.updated_at > Article.first_seen_at)
        assert session.scalars(changed).one() == 0
