"""What each reader of a run gets: from the run's frozen tables, so that it is the same whenever it is asked for.

Readers may change what they take while their mail waits. Who took part is told by ids and marks, not by clocks (a
reader's request and the run may have read theirs in either order): a subscription did if it is not younger than the
run, and has no mark of its own from before it. The run cleared the marks of those that took part; whatever sets one
later sets it at the run's cut or above.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from sqlalchemy import FromClause, ScalarSelect, String, and_, cast, exists, func, inspect, literal_column, or_, select
from sqlalchemy.orm import Session, aliased
from sqlalchemy.sql.elements import ColumnElement

from newsletter.audience.models import Subscriber, Subscription, SubscriptionState
from newsletter.content.models import Article, Category
from newsletter.digests.arranging import Piece, Selection, arrange, newest_first
from newsletter.digests.models import Run, RunArticle, RunExclusion, RunMark
from newsletter.digests.window import of_run

_REMEMBERED: Final = 4096
"""Selections kept: readers with the same categories and the same position get the same one."""
NOTHING: Final[frozenset[int]] = frozenset()
Reader = tuple[int, int]
"""subscriber_id and after_number, as the run's delivery has them."""


class Selector:
    """Tells what a run holds for each reader. Made once per run and process: it keeps the articles, no readers."""

    def __init__(self, session: Session, run: Run) -> None:
        self._run_id, self._after, self._limit = run.id, run.after_number, run.cadence.max_per_category
        marked = bool(session.scalar(select(exists().where(RunMark.run_id == run.id))))
        self.taken = _taken(run, marked=marked, dialect=session.get_bind().dialect.name)
        """For queries over Subscriber: the categories they take here, packed for `selection()`."""
        self._shelf = shelf(session, of_run(run).articles)
        self._some_had = bool(session.scalar(select(exists().where(RunExclusion.run_id == run.id))))
        self._stopped: AbstractSet[int] = self._find_stopped(session)
        self._known: dict[object, Selection] = {}

    @property
    def article_ids(self) -> AbstractSet[int]:
        """Every article that the run may put into a digest."""
        return {piece.id for pieces in self._shelf.values() for piece in pieces}

    def select(self, session: Session, readers: Sequence[Reader]) -> dict[int, Selection]:
        """Return subscriber_id to what they get, for a group of readers (a few hundred), in three queries at most.

        An empty selection means that there is no mail for them any more: articles were withdrawn or are held since, or
        the reader dropped the categories.
        """
        self.look_for_stopped(session)
        ids = [subscriber_id for subscriber_id, _ in readers]
        had = self.had(session, ids)
        rows = session.execute(select(Subscriber.id, self.taken).where(Subscriber.id.in_(ids)))
        taken = dict(rows.all())
        return {key: self.selection(taken.get(key), after, had.get(key, NOTHING)) for key, after in readers}

    def selection(self, taken: str | None, after: int, had: frozenset[int] = NOTHING) -> Selection:
        """Return what a reader gets, from what the query said that they take (see `taken`)."""
        key = (taken, after, had)
        if key not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            pairs = [pair.partition(":") for pair in taken.split(",")] if taken else []
            read = {int(category): int(mark) if mark else after for category, _, mark in pairs}
            self._known[key] = arrange(self._shelf, read, had, limit=self._limit, stopped=self._stopped)
        return self._known[key]

    def select_copy(self) -> Selection:
        """Return what colleagues get: everything since the run before, in every category."""
        read = dict.fromkeys(self._shelf, self._after)
        everything = dict.fromkeys(self._shelf, 0)
        return self._arranged(read) or self._arranged(everything)

    def _arranged(self, read: dict[int, int]) -> Selection:
        return arrange(self._shelf, read, NOTHING, limit=self._limit, stopped=self._stopped)

    def had(self, session: Session, ids: Sequence[int]) -> dict[int, frozenset[int]]:
        """Return the numbers of articles that some of the readers have had otherwise."""
        if not self._some_had:
            return {}
        rows = session.execute(
            select(RunExclusion.subscriber_id, RunExclusion.number).where(
                RunExclusion.run_id == self._run_id, RunExclusion.subscriber_id.in_(ids)
            )
        )
        found: dict[int, set[int]] = {}
        for subscriber_id, number in rows:
            found.setdefault(subscriber_id, set()).add(number)
        return {subscriber_id: frozenset(numbers) for subscriber_id, numbers in found.items()}

    def look_for_stopped(self, session: Session) -> None:
        """Take notice of articles that were withdrawn or are held since the last look."""
        stopped = self._find_stopped(session)
        if stopped != self._stopped:
            self._stopped = stopped
            self._known.clear()

    def _find_stopped(self, session: Session) -> AbstractSet[int]:
        return frozenset(
            session.scalars(
                select(RunArticle.article_id)
                .join(Article, Article.id == RunArticle.article_id)
                .where(
                    RunArticle.run_id == self._run_id,
                    Article.withdrawn_at.is_not(None) | Article.held_at.is_not(None),
                )
            )
        )


def _taken(run: Run, *, marked: bool, dialect: str) -> ScalarSelect[str | None]:
    """Return `category:mark,…` of what the enclosing query's Subscriber took part with; the mark may be empty.

    One value for a reader instead of a row for each category: readers with the same words get the same digest. This is
    asked of each reader before each mail, so that nothing is looked up that is not needed. `marked`: whether the run
    has any marks.
    """
    still = aliased(Subscription)
    pair = cast(Subscription.category_id, String) + ":"
    source: FromClause = inspect(Subscription).local_table
    if marked:
        pair += func.coalesce(cast(RunMark.mark, String), "")
        source = source.outerjoin(
            inspect(RunMark).local_table, and_(RunMark.run_id == run.id, RunMark.subscription_id == Subscription.id)
        )
    # Not `aggregate_strings`, which would write the statement anew for each group.
    in_a_row = func.string_agg(pair, literal_column("','")) if dialect == "postgresql" else func.group_concat(pair)
    return (
        select(in_a_row)
        .select_from(source)
        .where(
            Subscription.subscriber_id == Subscriber.id,
            took_part(run),
            # Who moved the category to another cadence still wants it; the new subscription starts after this run.
            or_(
                Subscription.state == SubscriptionState.ACTIVE,
                exists().where(
                    still.subscriber_id == Subscription.subscriber_id,
                    still.category_id == Subscription.category_id,
                    still.state == SubscriptionState.ACTIVE,
                ),
            ),
        )
        .correlate(Subscriber)
        .scalar_subquery()
    )


def took_part(run: Run) -> ColumnElement[bool]:
    """Return the condition that a Subscription was among those that the run read for."""
    return and_(
        Subscription.cadence_id == run.cadence_id,
        Subscription.state != SubscriptionState.PENDING,
        Subscription.id <= run.last_subscription_id,
        Subscription.first_number < run.cut_number,
        func.coalesce(Subscription.mark, run.cut_number) >= run.cut_number,
    )


def shelf(session: Session, articles: FromClause) -> dict[int, tuple[Piece, ...]]:
    """Return a window's categories in the site's order, each with its pieces, newest first."""
    rows = session.execute(
        select(
            articles.c.category_id,
            articles.c.number,
            Article.id,
            Article.canonical_hash,
            Article.published_at,
            Article.first_seen_at,
            Article.available_at,
            Article.pinned_at,
        )
        .join(Article, Article.id == articles.c.article_id)
        .join(Category, Category.id == articles.c.category_id)
        .order_by(Category.position, Category.id)
    )
    found: dict[int, list[Piece]] = {}
    for category_id, number, article_id, story, published_at, first_seen_at, available_at, pinned_at in rows:
        # A feed's date orders articles only as far as it can be true: nothing is newer than the moment it came to us,
        # or of a future-dated one the moment that it waited for.
        latest = max(first_seen_at, available_at or first_seen_at)
        shown_at = min(published_at or latest, latest)
        found.setdefault(category_id, []).append(Piece(article_id, number, story, shown_at, pinned_at))
    return {category_id: newest_first(pieces) for category_id, pieces in found.items()}
