"""The articles of a cadence's coming digest as its editors see them, with those that they keep back."""

import datetime
from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.orm import Session

from newsletter.audience.models import Cadence, Cut
from newsletter.content.models import Article, ArticleCategory, Category, Source
from newsletter.digests.models import Hold, LeftOut

MOST: Final = 200


@dataclass(frozen=True)
class ComingArticle:
    """One article and what was decided about it."""

    id: int
    title: str
    url: str
    source: str
    categories: tuple[str, ...]
    """Empty: it goes to nobody."""
    first_seen_at: datetime.datetime
    waits_until: datetime.datetime | None
    """Dated ahead: it goes out after that."""
    pinned: bool
    held: bool
    left_out: bool


def coming(session: Session, cadence: Cadence, now: datetime.datetime) -> list[ComingArticle]:
    """Return what is new since the cadence's last digest, what waits for its date and what is held, newest first."""
    since = session.scalar(select(func.min(Cut.number)).where(Cut.cadence_id == cadence.id)) or 0
    rows = session.execute(
        select(
            Article.id,
            Article.title,
            Article.url,
            func.coalesce(Source.title, ""),
            Article.first_seen_at,
            case((Article.number.is_(None), Article.available_at)),
            Article.pinned_at,
            Article.held_at,
        )
        .outerjoin(Source, Source.id == Article.source_id)
        .where(
            Article.withdrawn_at.is_(None),
            or_(
                Article.number > since,
                and_(Article.number.is_(None), Article.available_at.is_not(None)),
                Article.held_at.is_not(None),
            ),
        )
        .order_by(Article.id.desc())
        .limit(MOST)
    ).all()
    ids = [row.id for row in rows]
    left_out = set(
        session.scalars(select(LeftOut.article_id).where(LeftOut.cadence_id == cadence.id, LeftOut.article_id.in_(ids)))
    )
    names: defaultdict[int, list[str]] = defaultdict(list)
    for article_id, name in session.execute(
        select(ArticleCategory.article_id, Category.name)
        .join(Category, Category.id == ArticleCategory.category_id)
        .where(ArticleCategory.article_id.in_(ids), Category.archived_at.is_(None))
        .order_by(Category.position, Category.id)
    ):
        names[article_id].append(name)
    return [
        ComingArticle(
            id=key,
            title=title,
            url=url,
            source=source,
            categories=tuple(names[key]),
            first_seen_at=first_seen_at,
            waits_until=waits_until if waits_until is not None and waits_until > now else None,
            pinned=pinned_at is not None,
            held=held_at is not None,
            left_out=key in left_out,
        )
        for key, title, url, source, first_seen_at, waits_until, pinned_at, held_at in rows
    ]


def held_periods(session: Session, cadence_id: int, since: str) -> list[str]:
    """Return the periods (`2026-11-23`) from `since` on whose digests an operator lets wait."""
    query = select(Hold.period).where(Hold.cadence_id == cadence_id, Hold.period >= since).order_by(Hold.period)
    return list(session.scalars(query))
