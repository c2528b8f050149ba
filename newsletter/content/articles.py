"""Articles as operators see them: what came in lately, where it was sorted and what becomes of it."""

import collections
import datetime
import enum
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from newsletter.content.models import Article, ArticleCategory, ArticleTerm, Category, Source, Term

PAGE: Final = 50


class State(enum.StrEnum):
    """What becomes of an article."""

    SENT = "sent"
    """A digest has carried it."""
    COMING = "coming"
    """It goes out with the next digest of each cadence that it is new to."""
    AHEAD = "ahead"
    """It waits for its date."""
    UNCATEGORISED = "uncategorised"
    """None of its terms means anything here and its source has no default: it goes to nobody."""
    SEEN = "seen"
    """It was there before its source was, or had no category for too long: it goes to nobody."""
    REPEAT = "repeat"
    """Its story came from another source first, in all of its categories."""
    HELD = "held"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class ArticleView:
    """One article."""

    id: int
    title: str
    url: str
    source_id: int | None
    source: str
    """Empty when its source was removed."""
    categories: tuple[str, ...]
    terms: tuple[str, ...]
    """Its source's own words."""
    state: State
    published_at: datetime.datetime | None
    first_seen_at: datetime.datetime
    available_at: datetime.datetime | None


def recent(
    session: Session,
    now: datetime.datetime,
    *,
    source_id: int | None = None,
    before_id: int | None = None,
    limit: int = PAGE,
) -> list[ArticleView]:
    """Return the articles that came last, newest first; for the next page `before_id` is the last one's id."""
    statement = (
        select(Article, func.coalesce(Source.title, ""))
        .outerjoin(Source, Source.id == Article.source_id)
        .order_by(Article.id.desc())
        .limit(limit)
    )
    if source_id is not None:
        statement = statement.where(Article.source_id == source_id)
    if before_id is not None:
        statement = statement.where(Article.id < before_id)
    rows = [(article, source) for article, source in session.execute(statement)]
    ids = [article.id for article, _ in rows]
    categories, terms = _categories(session, ids), _terms(session, ids)
    repeats = _repeats(session, ids)
    return [
        ArticleView(
            id=article.id,
            title=article.title,
            url=article.url,
            source_id=article.source_id,
            source=source,
            categories=tuple(categories[article.id]),
            terms=tuple(terms[article.id]),
            state=_state(article, now, sorted_=bool(categories[article.id]), repeat=article.id in repeats),
            published_at=article.published_at,
            first_seen_at=article.first_seen_at,
            available_at=article.available_at,
        )
        for article, source in rows
    ]


def _state(article: Article, now: datetime.datetime, *, sorted_: bool, repeat: bool) -> State:
    if article.withdrawn_at is not None:
        return State.WITHDRAWN
    if article.held_at is not None:
        return State.HELD
    if article.number is not None:
        return State.SENT if article.digested_at is not None else State.COMING
    if article.available_at is None:
        return State.REPEAT if repeat else State.SEEN
    if not sorted_:
        return State.UNCATEGORISED
    return State.AHEAD if article.available_at > now else State.COMING


def _categories(session: Session, ids: list[int]) -> dict[int, list[str]]:
    names: dict[int, list[str]] = collections.defaultdict(list)
    for article_id, name in session.execute(
        select(ArticleCategory.article_id, Category.name)
        .join(Category, Category.id == ArticleCategory.category_id)
        .where(ArticleCategory.article_id.in_(ids))
        .order_by(Category.position, Category.id)
    ):
        names[article_id].append(name)
    return names


def _terms(session: Session, ids: list[int]) -> dict[int, list[str]]:
    names: dict[int, list[str]] = collections.defaultdict(list)
    for article_id, name in session.execute(
        select(ArticleTerm.article_id, Term.name)
        .join(Term, Term.id == ArticleTerm.term_id)
        .where(ArticleTerm.article_id.in_(ids))
        .order_by(Term.id)
    ):
        names[article_id].append(name)
    return names


def _repeats(session: Session, ids: list[int]) -> set[int]:
    """Return those of `ids` whose story has a number through another article."""
    first = aliased(Article)
    statement = (
        select(Article.id)
        .join(first, first.canonical_hash == Article.canonical_hash)
        .where(Article.id.in_(ids), Article.number.is_(None), first.number.is_not(None))
    )
    return set(session.scalars(statement))
