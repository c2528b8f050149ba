"""Who gets a digest of a run: one statement, fit to be the SELECT of an INSERT for a million readers."""

from sqlalchemy import Select, and_, exists, func, or_, select
from sqlalchemy.sql.elements import ColumnElement

from newsletter.audience.models import Subscriber, Subscription, SubscriptionState, Suppression
from newsletter.digests.models import Run, RunExclusion
from newsletter.digests.window import Window, of_run


def readers_of(run: Run) -> Select[int, int]:
    """Select subscriber_id and after_number of everyone with something new in `run`, in the order of their ids.

    `after_number` is how far the reader's zone had read; it is to be kept with the delivery, as their zone may change
    while the mail waits.
    """
    window = of_run(run)
    had = RunExclusion.run_id == run.id, RunExclusion.subscriber_id == Subscriber.id
    this = exists().where(*had, RunExclusion.number == window.articles.c.number)
    # Only those who have had something need the long way: is there an article that they have not had?
    fresh = (
        _reading(window)
        .join(window.articles, window.articles.c.category_id == Subscription.category_id)
        .where(
            window.articles.c.number > _read(window),
            ~this.correlate(Subscriber, window.articles),
        )
    )
    return _readers(window).where(or_(~exists().where(*had), fresh.exists())).order_by(Subscriber.id)


def readers_at_most(window: Window) -> Select[int, int]:
    """Select as `readers_of` does, counting in the few who have had all of it through another subscription."""
    return _readers(window)


def _readers(window: Window) -> Select[int, int]:
    # A category has something new for a reader if its newest article is: a handful of rows instead of all articles.
    newest = (
        select(window.articles.c.category_id, func.max(window.articles.c.number).label("number"))
        .group_by(window.articles.c.category_id)
        .cte("newest")
        .prefix_with("MATERIALIZED")  # else PostgreSQL may gather it again for each reader
    )
    something = (
        _reading(window)
        .join(newest, newest.c.category_id == Subscription.category_id)
        .where(newest.c.number > _read(window))
    )
    suppressed = (
        exists().where(Suppression.hash == each) for each in (Subscriber.address_hash, Subscriber.domain_hash)
    )
    return (
        select(Subscriber.id.label("subscriber_id"), window.zones.c.after_number)
        .join(window.zones, window.zones.c.timezone == Subscriber.timezone)
        .where(
            Subscriber.confirmed_at.is_not(None),
            Subscriber.paused_at.is_(None),
            *(~each for each in suppressed),
            something.exists(),
        )
    )


def _reading(window: Window) -> Select[int]:
    """Select the subscriptions at the cadence of the Subscriber and zone of the statement around it."""
    reading = select(Subscription.id).where(
        and_(
            Subscription.subscriber_id == Subscriber.id,
            Subscription.cadence_id == window.cadence_id,
            Subscription.state == SubscriptionState.ACTIVE,
        )
    )
    if window.opened:
        reading = reading.outerjoin(window.marks, window.marks.c.subscription_id == Subscription.id)
    return reading.correlate(Subscriber, window.zones)


def _read(window: Window) -> ColumnElement[int]:
    """How far one of `_reading` has read."""
    if window.opened:
        return window.read
    read: ColumnElement[int] = func.coalesce(Subscription.mark, window.zones.c.after_number)
    return read
