"""Give articles their numbers, and see to it that a story has one number for each category.

The same story may come from several sources, at different times. The first to be numbered takes it into its
categories; a later one gets a number only for those that the story is not in yet, so that the readers of these get it
and nobody gets it twice (digests/exclusions.py leaves out who had it elsewhere). One that has nothing to add is a
repeat: it gets no number. What an operator decided about a story, to hold or to withdraw it, holds for what comes
later.
"""

import collections
import datetime
from typing import Final

from sqlalchemy import ColumnElement, and_, delete, exists, select, tuple_, update
from sqlalchemy.orm import Session, load_only

from newsletter.content.models import Article, ArticleCategory
from newsletter.content.numbers import lock_counter, take_numbers

AT_ONCE: Final = 500
FORGOTTEN_AFTER: Final = datetime.timedelta(days=7)
"""An article that nobody gave a category in this time counts as seen: mapping its term sends out no old news."""


def anything_waiting(session: Session, now: datetime.datetime) -> bool:
    """Tell whether there is an article to number; cheap, and locks nothing."""
    return session.scalar(select(Article.id).where(_ready(now)).limit(1)) is not None


def number_waiting(session: Session, now: datetime.datetime) -> int:
    """Number the articles whose time has come, oldest first; return how many got a number."""
    lock_counter(session)
    given = 0
    while True:
        # Whoever held or withdrew one has committed before we got the lock: nothing older may be believed.
        found = session.scalars(
            select(Article)
            .where(_ready(now))
            .order_by(Article.available_at, Article.id)
            .limit(AT_ONCE)
            .options(load_only(Article.canonical_hash, Article.number, Article.available_at, Article.held_at))
            .execution_options(populate_existing=True)
        ).all()
        if not found:
            return given
        given += _number(session, list(found), now)


def forget_uncategorised(session: Session, now: datetime.datetime) -> int:
    """Count as seen what has waited for a category for too long; return how many there were."""
    lock_counter(session)
    old = and_(Article.number.is_(None), Article.available_at <= now - FORGOTTEN_AFTER, ~_has_category())
    statement = update(Article).where(old).values(available_at=None).returning(Article.id)
    return len(session.scalars(statement.execution_options(synchronize_session=False)).all())


def _number(session: Session, articles: list[Article], now: datetime.datetime) -> int:
    """Decide about `articles`, which are ready; afterwards none of them is."""
    stories = {article.canonical_hash for article in articles}
    taken, held, withdrawn = _what_became_of(session, stories)
    wanted = collections.defaultdict(set)
    ids = [article.id for article in articles]
    for article_id, category_id in session.execute(
        select(ArticleCategory.article_id, ArticleCategory.category_id).where(ArticleCategory.article_id.in_(ids))
    ):
        wanted[article_id].add(category_id)
    numbered, had = [], []
    for article in articles:
        story = article.canonical_hash
        if story in withdrawn:
            article.withdrawn_at = now
        elif story in held:
            article.held_at = now
        elif free := wanted[article.id] - taken[story]:
            had += [(article.id, category_id) for category_id in wanted[article.id] - free]
            taken[story] |= free
            numbered.append(article)
        else:
            article.available_at = None
    if numbered:
        for article, number in zip(numbered, take_numbers(session, len(numbered)), strict=True):
            article.number = number
    session.flush()
    if had:
        place = tuple_(ArticleCategory.article_id, ArticleCategory.category_id)
        session.execute(delete(ArticleCategory).where(place.in_(had)).execution_options(synchronize_session=False))
    return len(numbered)


def _what_became_of(session: Session, stories: set[str]) -> tuple[dict[str, set[int]], set[str], set[str]]:
    """Return the categories that each story is in already, the stories that are held and those withdrawn."""
    taken: dict[str, set[int]] = collections.defaultdict(set)
    for story, category_id in session.execute(
        select(Article.canonical_hash, ArticleCategory.category_id)
        .join(ArticleCategory, ArticleCategory.article_id == Article.id)
        .where(Article.canonical_hash.in_(stories), Article.number.is_not(None))
    ):
        taken[story].add(category_id)
    stopped = session.execute(
        select(Article.canonical_hash, Article.withdrawn_at).where(
            Article.canonical_hash.in_(stories), Article.withdrawn_at.is_not(None) | Article.held_at.is_not(None)
        )
    ).all()
    withdrawn = {story for story, withdrawn_at in stopped if withdrawn_at is not None}
    return taken, {story for story, _ in stopped} - withdrawn, withdrawn


def _ready(now: datetime.datetime) -> ColumnElement[bool]:
    return and_(
        Article.number.is_(None),
        Article.available_at <= now,
        Article.held_at.is_(None),
        Article.withdrawn_at.is_(None),
        _has_category(),
    )


def _has_category() -> ColumnElement[bool]:
    return exists().where(ArticleCategory.article_id == Article.id).correlate(Article)
