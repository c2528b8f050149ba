"""What a run would hold if an operator opened it now: shown before they press the button. Locks and changes nothing."""

import datetime
from dataclasses import dataclass

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from newsletter.audience.models import Cadence, Cut, Subscriber, Subscription, SubscriptionState
from newsletter.content.models import Category
from newsletter.digests import window
from newsletter.digests.arranging import Selection, arrange
from newsletter.digests.due import hour_of
from newsletter.digests.exclusions import exclusions
from newsletter.digests.readers import readers_at_most
from newsletter.digests.schedule import Due
from newsletter.digests.selection import shelf
from newsletter.foundation.errors import NotFoundError


@dataclass(frozen=True)
class Forecast:
    """The consequences of opening a manual run now."""

    readers: int
    """At most so many mails: who has had all of it through another subscription is counted, but gets none."""
    articles: int
    """Different articles that are new since the cadence's last digest."""
    by_category: dict[str, int]
    """Category's name to its new articles, in the site's order; one in two categories counts in both."""
    copies: int
    first: Due | None
    """When the next scheduled digest reaches its first readers,"""
    last: Due | None
    """and its last ones, in the zones that readers live in."""


def forecast(session: Session, cadence: Cadence, now: datetime.datetime) -> Forecast:
    """Return what a manual run of the cadence would send."""
    coming = window.ahead(cadence.id)
    zones = dict(session.execute(select(Cut.timezone, Cut.number).where(Cut.cadence_id == cadence.id)).all())
    since = min(zones.values(), default=0)
    new = coming.articles.c
    counts = session.execute(
        select(Category.name, func.count())
        .join(coming.articles, new.category_id == Category.id)
        .where(new.number > since)
        .group_by(Category.id, Category.name, Category.position)
        .order_by(Category.position, Category.id)
    )
    hour = hour_of(cadence)
    hours = sorted((due for zone in zones if (due := hour.next(zone, now))), key=lambda due: (due.instant, due.period))
    return Forecast(
        readers=session.scalars(select(func.count()).select_from(readers_at_most(coming).subquery())).one(),
        articles=session.scalars(select(func.count(new.number.distinct())).where(new.number > since)).one(),
        by_category=dict(counts.all()),
        copies=len(cadence.copies),
        first=hours[0] if hours else None,
        last=hours[-1] if hours else None,
    )


def preview_selection(session: Session, cadence: Cadence, subscriber_id: int | None) -> Selection:
    """Return what that reader would get now, or with None what a colleague's copy would hold.

    Of a reader who is paused it is what waits for them. Raises NotFoundError when there is no such reader.
    """
    if subscriber_id is None:
        coming = window.ahead(cadence.id)
        since = session.scalar(select(func.min(Cut.number)).where(Cut.cadence_id == cadence.id)) or 0
        pieces = shelf(session, coming.articles)
        return arrange(pieces, dict.fromkeys(pieces, since), limit=cadence.max_per_category)
    if session.get(Subscriber, subscriber_id) is None:
        raise NotFoundError("There is no such reader.")
    read = dict(session.execute(_positions(cadence.id, subscriber_id)).all())
    if not read:
        return Selection()
    coming = window.ahead(cadence.id, from_number=min(read.values()))
    had = frozenset(row.number for row in session.execute(exclusions(coming, subscriber_id)))
    return arrange(shelf(session, coming.articles), read, had, limit=cadence.max_per_category)


def _positions(cadence_id: int, subscriber_id: int) -> Select[int, int]:
    """Select category_id and how far the reader has read in it."""
    return (
        select(Subscription.category_id, func.coalesce(Subscription.mark, Cut.number, 0))
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .outerjoin(Cut, (Cut.cadence_id == Subscription.cadence_id) & (Cut.timezone == Subscriber.timezone))
        .where(
            Subscription.subscriber_id == subscriber_id,
            Subscription.cadence_id == cadence_id,
            Subscription.state == SubscriptionState.ACTIVE,
        )
    )
