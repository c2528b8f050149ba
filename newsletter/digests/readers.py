"""Who gets a digest of a run: one statement, fit to be the SELECT of an INSERT for a million readers."""

from sqlalchemy import Select, and_, exists, func, or_, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from newsletter.audience.models import Subscriber, Subscription, SubscriptionState, Suppression
from newsletter.digests.models import Run, RunExclusion, RunMark
from newsletter.digests.window import Window, of_run


def readers_of(session: Session, run: Run) -> Select[int, int]:
    """Select subscriber_id and after_number of everyone with something new in `run`, in the order of their ids.

    `after_number` is how far the reader's zone had read; it is to be kept with the delivery, as their zone may change
    while the mail waits. What no reader of the run has (own marks, articles that they have had) is not asked for each.
    """
    window = of_run(run)
    marked = session.scalars(select(exists().where(RunMark.run_id == run.id))).one()
    excluded = session.scalars(select(exists().where(RunExclusion.run_id == run.id))).one()
    readers = _readers(window, marked)
    if excluded:
        had = RunExclusion.run_id == run.id, RunExclusion.subscriber_id == Subscriber.id
        this = exists().where(*had, RunExclusion.number == window.articles.c.number)
        # Only those who have had something need the long way: is there an article that they have not had?
        fresh = (
            _reading(window, marked)
            .join(window.articles, window.articles.c.category_id == Subscription.category_id)
            .where(window.articles.c.number > _read(window, marked), ~this.correlate(Subscriber, window.articles))
        )
        readers = readers.where(or_(~exists().where(*had), fresh.exists()))
    reached = _reached(readers)
    return reached.order_by(reached.selected_columns.subscriber_id)


def readers_at_most(window: Window) -> Select[int, int]:
    """Select as `readers_of` does what could be opened now, counting in those who have had all of it elsewhere."""
    return _reached(_readers(window, marked=False))


def _readers(window: Window, marked: bool) -> Select[int, int, str]:
    """Select subscriber_id, after_number and domain_hash; `_reached` leaves out those of suppressed domains."""
    # A category has something new for a reader if its newest article is: a handful of rows instead of all articles.
    newest = (
        select(window.articles.c.category_id, func.max(window.articles.c.number).label("number"))
        .group_by(window.articles.c.category_id)
        .cte("newest")
        .prefix_with("MATERIALIZED")  # else PostgreSQL may gather it again for each reader
    )
    something = (
        _reading(window, marked)
        .join(newest, newest.c.category_id == Subscription.category_id)
        .where(newest.c.number > _read(window, marked))
    )
    return (
        select(Subscriber.id.label("subscriber_id"), window.zones.c.after_number, Subscriber.domain_hash)
        .join(window.zones, window.zones.c.timezone == Subscriber.timezone)
        .where(
            Subscriber.confirmed_at.is_not(None),
            Subscriber.paused_at.is_(None),
            ~exists().where(Suppression.hash == Subscriber.address_hash),
            something.exists(),
        )
    )


def _reached(readers: Select[int, int, str]) -> Select[int, int]:
    """Leave out who is at a suppressed domain.

    Done last, behind a fence (OFFSET 0): domains being few, PostgreSQL expects that this leaves nobody, and would join
    all that comes after it by loops.
    """
    within = readers.offset(0).subquery("within")
    suppressed = exists().where(Suppression.hash == within.c.domain_hash)
    return select(within.c.subscriber_id, within.c.after_number).where(~suppressed)


def _reading(window: Window, marked: bool) -> Select[int]:
    """Select the subscriptions at the cadence of the Subscriber and zone of the statement around it.

    `marked`: marks were frozen. Those of a window that was not opened stand on the subscriptions themselves.
    """
    reading = select(Subscription.id).where(
        and_(
            Subscription.subscriber_id == Subscriber.id,
            Subscription.cadence_id == window.cadence_id,
            Subscription.state == SubscriptionState.ACTIVE,
        )
    )
    if marked:
        reading = reading.outerjoin(window.marks, window.marks.c.subscription_id == Subscription.id)
    return reading.correlate(Subscriber, window.zones)


def _read(window: Window, marked: bool) -> ColumnElement[int]:
    """How far one of `_reading` has read."""
    if marked:
        return window.read
    if window.opened:
        unmarked: ColumnElement[int] = window.zones.c.after_number
        return unmarked
    read: ColumnElement[int] = func.coalesce(Subscription.mark, window.zones.c.after_number)
    return read
