"""How far each reader has read, kept true through every change, so that no article is missed and none comes twice.

A digest run locks the cuts of its zones, looks who reads, and moves the cuts, in one transaction. Whoever changes what
a reader gets therefore first locks the reader's cuts as well (shared: two readers do not wait for each other), and only
then looks. The order of locks is always the reader, then cuts by cadence and zone.
"""

import datetime
from collections.abc import Collection, Iterable

from sqlalchemy import func, literal, select, tuple_
from sqlalchemy.orm import Session

from newsletter.audience import subscribers
from newsletter.audience.models import Cut, EndedReason, Subscriber, Subscription, SubscriptionState
from newsletter.foundation.db import insert_new

Spot = tuple[int, str]
"""A cadence's id and a time zone."""


def hold_cuts(session: Session, spots: Collection[Spot], now: datetime.datetime) -> dict[Spot, int]:
    """Lock the cuts of `spots` until the transaction ends and return their numbers; make those that are missing.

    A zone that is new to a cadence starts at that cadence's highest cut: its first reader begins where others are. A
    cadence that is new to the site starts where the site's others are, not at the first article there ever was.
    """
    if not spots:
        return {}
    wanted = sorted(spots)
    where = tuple_(Cut.cadence_id, Cut.timezone).in_(wanted)
    there = {
        (row.cadence_id, row.timezone) for row in session.execute(select(Cut.cadence_id, Cut.timezone).where(where))
    }
    for cadence_id, timezone in wanted:
        if (cadence_id, timezone) not in there:
            own = select(func.max(Cut.number)).where(Cut.cadence_id == cadence_id).scalar_subquery()
            anybodys = select(func.max(Cut.number)).scalar_subquery()
            highest = select(
                literal(cadence_id), literal(timezone), func.coalesce(own, anybodys, 0), literal(""), literal(now)
            )
            session.execute(
                insert_new(session, Cut).from_select(["cadence_id", "timezone", "number", "period", "since"], highest)
            )
    statement = select(Cut.cadence_id, Cut.timezone, Cut.number).where(where).order_by(Cut.cadence_id, Cut.timezone)
    if session.get_bind().dialect.name == "postgresql":
        statement = statement.with_for_update(read=True)
    return {(cadence_id, timezone): number for cadence_id, timezone, number in session.execute(statement)}


class Reading:
    """One reader, all their subscriptions, and the cuts these hang on, locked until the transaction ends."""

    def __init__(
        self, subscriber: Subscriber, rows: Iterable[Subscription], cuts: dict[Spot, int], now: datetime.datetime
    ) -> None:
        self.subscriber = subscriber
        self.rows = list(rows)
        self._cuts = cuts
        self._now = now

    @property
    def active(self) -> list[Subscription]:
        """The subscriptions that bring mail (unless paused)."""
        return [row for row in self.rows if row.state is SubscriptionState.ACTIVE]

    @property
    def choices(self) -> dict[int, int]:
        """Category to cadence, of the active ones."""
        return {row.category_id: row.cadence_id for row in self.active}

    def current(self, category_id: int) -> Subscription | None:
        """Return the pending or active subscription to a category."""
        return next(
            (row for row in self.rows if row.category_id == category_id and row.state is not SubscriptionState.ENDED),
            None,
        )

    def settle(self) -> None:
        """Write down how far each active subscription has read, before its cut is no longer the one that counts."""
        for row in self.active:
            row.mark = self._read_up_to(row)

    def end(self, row: Subscription, reason: EndedReason, change_id: int | None) -> None:
        """End an active subscription where it has read up to."""
        row.mark = self._read_up_to(row)
        row.state = SubscriptionState.ENDED
        row.ended_at, row.ended_reason, row.ended_by = self._now, reason, change_id

    def choose(self, category_id: int, cadence_id: int, change_id: int | None = None) -> bool:
        """Make a category come at a cadence, and tell whether that changed anything.

        A new choice begins at the zone's cut, or where an earlier one to the category ended if that is later. One
        that moves from another cadence goes on where it was, so that the pace changes and nothing else.
        """
        row = self.current(category_id)
        if row is not None and row.state is SubscriptionState.ACTIVE:
            if row.cadence_id == cadence_id:
                return False
            self.end(row, EndedReason.CHANGED, change_id)
            start, row = self._read_up_to(row), None
        else:
            start = max(self._cut(cadence_id), self._furthest(category_id))
        if row is None:
            row = Subscription(subscriber_id=self.subscriber.id, category_id=category_id, created_at=self._now)
            self.rows.append(row)
        row.cadence_id = cadence_id
        row.state = SubscriptionState.ACTIVE
        row.activated_at, row.begun_by = self._now, change_id
        row.first_number = start
        # Never left to the cut: a run that is being sent tells by the mark that this had no part in it, even where the
        # row is an old one that waited for its confirmation (digests/selection.py).
        row.mark = start
        return True

    def restore(self, row: Subscription, session: Session) -> None:
        """Make an ended subscription active again, from where it or a later one to its category had read up to.

        A pending one gives way: a stranger's sign-up must not keep a reader from what is theirs, and its button makes
        a new one.
        """
        pending = self.current(row.category_id)
        if pending is not None:
            self.rows.remove(pending)
            session.delete(pending)
            session.flush()
        row.mark = self._furthest(row.category_id)
        row.state = SubscriptionState.ACTIVE
        row.ended_at = row.ended_reason = row.ended_by = None

    def store(self, session: Session) -> None:
        """Hand everything to the database: endings first, so that a category never seems to be chosen twice."""
        session.flush()
        session.add_all(self.rows)
        session.flush()

    def _cut(self, cadence_id: int) -> int:
        return self._cuts[cadence_id, self.subscriber.timezone]

    def _read_up_to(self, row: Subscription) -> int:
        return self._cut(row.cadence_id) if row.mark is None else row.mark

    def _furthest(self, category_id: int) -> int:
        return max((row.mark or 0 for row in self.rows if row.category_id == category_id), default=0)


def open_reading(
    session: Session,
    subscriber_id: int,
    now: datetime.datetime,
    *,
    cadence_ids: Collection[int] = (),
    timezone: str | None = None,
) -> Reading:
    """Lock a reader and their cuts, also those of `cadence_ids` and `timezone` that they are about to have.

    Raises NotFoundError.
    """
    subscriber = subscribers.lock(session, subscriber_id)
    mine = Subscription.subscriber_id == subscriber_id
    held = session.scalars(
        select(Subscription.cadence_id).where(mine, Subscription.state == SubscriptionState.ACTIVE).distinct()
    )
    cadences = {*held, *cadence_ids}
    zones = {subscriber.timezone, timezone or subscriber.timezone}
    cuts = hold_cuts(session, {(cadence_id, zone) for cadence_id in cadences for zone in zones}, now)
    # Only now: a run that was under way until here has moved the cuts and taken marks.
    rows = session.scalars(
        select(Subscription).where(mine).order_by(Subscription.id).execution_options(populate_existing=True)
    )
    return Reading(subscriber, rows, cuts, now)
