"""What a run reads: zones and how far they had read, articles by category, and readers with a mark of their own.

A subscription has read up to its own mark if it has one, else up to its zone's `after_number`. Everything above that
in its category is new to its reader, but for what they have had through another subscription (see exclusions.py).
The same statements serve a run that was opened, from its frozen tables, and the one that could be opened now.
"""

from dataclasses import dataclass

from sqlalchemy import FromClause, Select, and_, exists, func, select, union_all
from sqlalchemy.sql.elements import ColumnElement

from newsletter.audience.models import Cut, Subscriber, Subscription, SubscriptionState
from newsletter.content.models import Article, ArticleCategory, Category
from newsletter.digests.models import LeftOut, Run, RunArticle, RunMark, RunZone


@dataclass(frozen=True)
class Window:
    """Tables, or statements in their place, that hold what a run reads."""

    cadence_id: int
    zones: FromClause
    """timezone, after_number."""
    articles: FromClause
    """category_id, number, article_id."""
    marks: FromClause
    """subscription_id, mark."""
    opened: bool
    """Whether `marks` were frozen. Else they still stand on the subscriptions, where reading them is cheaper."""

    @property
    def read(self) -> ColumnElement[int]:
        """How far a subscription has read, where `zones` and (outer) `marks` are joined."""
        read: ColumnElement[int] = func.coalesce(self.marks.c.mark, self.zones.c.after_number)
        return read


def of_run(run: Run) -> Window:
    """Return the window of a run that was opened."""
    zones = select(RunZone.timezone, RunZone.after_number).where(RunZone.run_id == run.id)
    articles = select(RunArticle.category_id, RunArticle.number, RunArticle.article_id)
    marks = select(RunMark.subscription_id, RunMark.mark).where(RunMark.run_id == run.id)
    return Window(
        run.cadence_id,
        zones.subquery("zones"),
        articles.where(RunArticle.run_id == run.id).subquery("eligible"),
        marks.subquery("marks"),
        opened=True,
    )


def ahead(cadence_id: int, from_number: int | None = None) -> Window:
    """Return the window of a manual run of the cadence, were it opened now; or one that begins at `from_number`."""
    zones = select(Cut.timezone, Cut.number.label("after_number")).where(Cut.cadence_id == cadence_id)
    marks = marked(cadence_id).subquery("marks")
    positions = union_all(
        select(Cut.number.label("number")).where(Cut.cadence_id == cadence_id), select(marks.c.mark)
    ).subquery()
    floor = select(func.min(positions.c.number)).scalar_subquery() if from_number is None else from_number
    articles = eligible(cadence_id).where(Article.number > floor)
    return Window(cadence_id, zones.subquery("zones"), articles.subquery("eligible"), marks, opened=False)


def eligible(cadence_id: int) -> Select[int, int | None, int]:
    """Select category_id, number, article_id of all that may go out at the cadence, however old (narrow it)."""
    left_out = exists().where(LeftOut.cadence_id == cadence_id, LeftOut.article_id == Article.id)
    return (
        select(ArticleCategory.category_id, Article.number, Article.id.label("article_id"))
        .join(Article, Article.id == ArticleCategory.article_id)
        .join(Category, and_(Category.id == ArticleCategory.category_id, Category.archived_at.is_(None)))
        .where(Article.number.is_not(None), Article.held_at.is_(None), Article.withdrawn_at.is_(None), ~left_out)
    )


def marked(cadence_id: int) -> Select[int, int | None]:
    """Select subscription_id, mark of the active, unpaused subscriptions at the cadence that have their own mark."""
    return (
        select(Subscription.id.label("subscription_id"), Subscription.mark)
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(
            Subscription.cadence_id == cadence_id,
            Subscription.mark.is_not(None),
            Subscription.state == SubscriptionState.ACTIVE,
            Subscriber.paused_at.is_(None),
        )
    )
