"""The ledger: who may send what, and what became of it. Each method is one short transaction of its own.

The order of things around a group of messages (at most GROUP):

1. `begin` commits, durably, that these deliveries may be handed over (`sending`), after looking once more at the
   mailing, the reader and the suppression list;
2. the engine hands them over, journalling each dot before and each reply after;
3. the next `begin` (or `settle`) folds the outcomes in.

A chunk's `fence` rises with every lease. Who lost the lease can begin nothing more, but what it was told is still
believed: an outcome closes a `sending` or `unknown` delivery whoever holds the chunk.

Locks are taken in the order chunk, deliveries, mailing, by everybody: nobody waits in a circle. (Planned deliveries of
a chunk in hand come last: nobody else locks those.)
"""

import contextlib
import datetime
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from flask import Flask
from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from newsletter.delivery import leases, marking, recovery
from newsletter.delivery.composing import Compose, Composer, composer
from newsletter.delivery.leases import Lease
from newsletter.delivery.models import DeliveryState, Mailing, Reason
from newsletter.delivery.replies import Outcome
from newsletter.delivery.settling import count, fold
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import OwnSession, db

GROUP: Final = 128
"""Deliveries marked at a time, at most."""
IN_DOUBT: Final = 2 * GROUP
"""Deliveries of a worker process that are marked and not yet told, at most: unknown if its host goes down."""
LEASE: Final = datetime.timedelta(minutes=8)
"""Longer than the wait for the reply to a dot; what a stalled worker may hold up."""
SortOut = Callable[[Mapping[int, str]], Mapping[int, datetime.datetime]]
"""Delivery id to domain → of those that must wait for their mail hosts, until when."""


@dataclass
class Group:
    """Deliveries that may be sent now, each with what makes its message."""

    messages: dict[int, Compose] = field(default_factory=dict)
    domains: dict[int, str] = field(default_factory=dict)
    lanes: Mapping[int, tuple[str, int]] = field(default_factory=dict)
    """Of those for mail hosts that take few connections: their group, and how many may be on the wire at a time."""


class NotBegunError(Exception):
    """Whether a group was begun is not known: none of `ids` has been sent, whatever the ledger says."""

    def __init__(self, ids: Iterable[int]) -> None:
        super().__init__("the ledger could not be written")
        self.ids = list(ids)


class Ledger:
    """The ledger as one worker process uses it; `owner` names the process in its leases."""

    def __init__(self, app: Flask, owner: str, lease: datetime.timedelta = LEASE) -> None:
        self._app = app
        with app.app_context():
            self._own = OwnSession(db.engine)
        self.owner = owner
        self._lease = lease
        self._composers: dict[int, Composer] = {}
        self._held: set[Lease] = set()
        """In hand."""
        self._perhaps_more = False
        """Whether the database may hold a lease of ours that we were not told of."""

    def close(self) -> None:
        """Let the connection go; called in the thread that used it."""
        if self._perhaps_more:
            with contextlib.suppress(SQLAlchemyError), self._own.transaction() as session:
                leases.let_go(session, self.owner, self._held)
        self._own.close()

    def claim(self, *, bulk: bool) -> Lease | None:
        """Lease the next chunk that is ready, oldest first; None when there is no work.

        Raises CannotComposeError when no message can be made of its mailing.
        """
        try:
            lease = self._claim(bulk)
        except SQLAlchemyError:
            self._perhaps_more = True
            raise
        self._perhaps_more = False
        if lease is not None:
            self._held.add(lease)
        return lease

    def _claim(self, bulk: bool) -> Lease | None:
        now = utc_now()
        asked = {"wants_bulk": bulk, "now": now, "by_owner": self.owner, "until": now + self._lease}
        with self._app.app_context(), self._own.transaction() as session:
            if self._perhaps_more:
                leases.let_go(session, self.owner, self._held)
            composer_of = partial(self._composer, session)
            lease = leases.claim(session, asked, composer_of)
            if lease is None and recovery.regroup_due(session, now):
                lease = leases.claim(session, asked, composer_of)
        if lease is not None:  # only now: one that was made in a transaction that failed holds rows of no use
            if len(self._composers) > 3:
                self._composers.clear()
            self._composers[lease.mailing_id] = lease.composes
        return lease

    def _composer(self, session: Session, mailing_id: int) -> Composer:
        return self._composers.get(mailing_id) or composer(session, session.get_one(Mailing, mailing_id))

    def begin(
        self, lease: Lease, size: int, told: Mapping[int, Outcome], relay_id: int, sort_out: SortOut | None = None
    ) -> Group:
        """Fold `told` in and mark up to `size` of the next deliveries as being sent; `lease` says whether more follow.

        A mailing that was paused or cancelled, a reader who left, paused or is suppressed: looked at here, for the
        last time before the dot. Raises NotBegunError when the database fails in the middle.
        """
        group = Group()
        try:
            with self._own.transaction() as session:
                now = utc_now()
                accepted = fold(session, told, relay_id, now, owner=self.owner)
                if not self._begin(session, lease, size, group, sort_out, accepted, now):
                    _count_accepted(session, lease.mailing_id, accepted)
        except marking.StoppedError:
            lease.exhausted = True
            self.settle(lease, told, relay_id)
            return Group()
        except Exception as error:
            raise NotBegunError(group.messages) from error
        lease.open += len(group.messages)
        return group

    def _begin(
        self,
        session: Session,
        lease: Lease,
        size: int,
        group: Group,
        sort_out: SortOut | None,
        accepted: int,
        now: datetime.datetime,
    ) -> bool:
        """Fill `group`. Returns whether anything was begun; then the counters have moved by `accepted`, too."""
        prepared = lease.composes.prepare(session, lease.chunk_id, lease.position, size, now)
        position = prepared[-1].id if prepared else lease.position
        reasons: dict[int, Reason] = {}
        for one in prepared:
            if isinstance(one.make, Reason):
                reasons[one.id] = one.make
            else:
                group.messages[one.id] = one.make
                group.domains[one.id] = one.domain
        waiting = sort_out(group.domains) if sort_out is not None else {}
        for delivery_id in waiting:
            del group.messages[delivery_id], group.domains[delivery_id]
        held = {"chunk": lease.chunk_id, "at_fence": lease.fence, "by_owner": self.owner, "until": now + self._lease}
        if reasons or waiting or not group.messages:
            marking.check(session, held | {"mailing": lease.mailing_id})
            marking.skip(session, lease.mailing_id, reasons, now)
            marking.put_off(session, lease.mailing_id, waiting)
        if group.messages:
            numbers = {"number": len(group.messages), "accepted": accepted}
            numbers["full"] = numbers["number"] if lease.composes.full else 0
            which = {"from_id": next(iter(group.messages)), "to_id": position, "now": now}
            if len(group.messages) < len(prepared):
                which["ids"] = list(group.messages)
            lease.per_hour = marking.send(session, held | which | numbers | {"mailing": lease.mailing_id})
        lease.position, lease.exhausted = position, len(prepared) < size
        return bool(group.messages)

    def settle(self, lease: Lease, told: Mapping[int, Outcome], relay_id: int) -> None:
        """Fold outcomes in."""
        if told:
            with self._own.transaction() as session:
                accepted = fold(session, told, relay_id, utc_now(), owner=self.owner)
                _count_accepted(session, lease.mailing_id, accepted)

    def release(self, lease: Lease) -> None:
        """Give the chunk back, done if nothing of it is left to send, and finish the mailing if this was the last."""
        with self._app.app_context(), self._own.transaction() as session:
            leases.release(session, lease, utc_now())
        self._held.discard(lease)

    def next_due(self) -> datetime.datetime | None:
        """Return when the next delivery is due that waits for its time."""
        with self._own.transaction() as session:
            return recovery.next_due(session)

    def put_off(self, mailing_id: int, until: datetime.datetime, *, because: str = "") -> None:
        """Let no worker claim anything of the mailing before `until`; `because` is for operators to see."""
        with self._own.transaction() as session:
            session.execute(
                update(Mailing)
                .where(Mailing.id == mailing_id)
                .values(not_before=until, paused_because=because)
                .execution_options(synchronize_session=False)
            )


def _count_accepted(session: Session, mailing_id: int, number: int) -> None:
    if number:
        count(session, {(mailing_id, DeliveryState.SENDING, DeliveryState.ACCEPTED): number})
