"""What readers have had already through another of their subscriptions: an article is in several categories, and a
reader may take one of them daily and another weekly, or have changed between them. So is a story that came from several
sources: each of its articles is in categories of its own (content/numbering.py).

Through one category alone nobody can get an article twice: a subscription never starts below what an earlier one for
the same category has read (audience/marks.py). So only stories in several categories are looked at, which are few.
"""

from sqlalchemy import CompoundSelect, Select, and_, func, or_, select, union
from sqlalchemy.orm import aliased

from newsletter.audience.models import Cut, Subscriber, Subscription, SubscriptionState
from newsletter.content.models import Article, ArticleCategory
from newsletter.digests.window import Window


def exclusions(window: Window, subscriber_id: int | None = None) -> CompoundSelect[int, int]:
    """Select subscriber_id and number of what is new in `window` but was had before; of one reader, if named.

    To be run under the lock of the articles' counter: other cadences' cuts must not move meanwhile.
    """
    # Had through a subscription that reads apart from the cadence: another one, or with its own mark (also ended ones).
    # Two that both follow the zone's cut have read the same. What remains is a marked one beside one that follows it.
    return union(
        _had(window, subscriber_id, apart=True),
        _had(window, subscriber_id, apart=False),
    )


def _had(window: Window, subscriber_id: int | None, *, apart: bool) -> Select[int, int]:
    had, other, reads, cut = aliased(Subscription), aliased(ArticleCategory), aliased(Subscription), aliased(Cut)
    article, told = aliased(Article), aliased(Article)
    shared = (
        select(
            window.articles.c.category_id,
            window.articles.c.number,
            other.category_id.label("other_id"),
            told.number.label("other_number"),
        )
        .join(article, article.id == window.articles.c.article_id)
        # The article itself, and those of the same story that a digest has carried.
        .join(
            told,
            and_(
                told.canonical_hash == article.canonical_hash,
                told.number.is_not(None),
                or_(told.id == article.id, told.digested_at.is_not(None)),
            ),
        )
        .join(other, and_(other.article_id == told.id, other.category_id != window.articles.c.category_id))
        .cte("shared_apart" if apart else "shared")
        .prefix_with("MATERIALIZED")  # few rows: gathered first, and only then looked up among the readers
    )
    furthest = select(Cut.cadence_id, func.max(Cut.number).label("number")).group_by(Cut.cadence_id).subquery()
    statement = (
        select(reads.subscriber_id, shared.c.number)
        .select_from(shared)
        .join(had, had.category_id == shared.c.other_id)
        .join(furthest, furthest.c.cadence_id == had.cadence_id)
        .join(reads, and_(reads.subscriber_id == had.subscriber_id, reads.category_id == shared.c.category_id))
        .join(Subscriber, Subscriber.id == had.subscriber_id)
        .join(window.zones, window.zones.c.timezone == Subscriber.timezone)
        .join(window.marks, window.marks.c.subscription_id == reads.id, isouter=apart)
        .outerjoin(cut, and_(cut.cadence_id == had.cadence_id, cut.timezone == Subscriber.timezone))
        .where(
            reads.cadence_id == window.cadence_id,
            reads.state == SubscriptionState.ACTIVE,
            Subscriber.paused_at.is_(None),
            shared.c.number > window.read,
            had.state != SubscriptionState.PENDING,
            had.first_number < shared.c.other_number,
            func.coalesce(had.mark, cut.number, 0) >= shared.c.other_number,
            # The same, coarser, without looking at the reader: in most runs it leaves nobody.
            func.coalesce(had.mark, furthest.c.number) >= shared.c.other_number,
        )
    )
    if apart:
        statement = statement.where(or_(had.mark.is_not(None), had.cadence_id != window.cadence_id))
    if subscriber_id is not None:
        statement = statement.where(Subscriber.id == subscriber_id)
    return statement
