"""The ledger: who may send what, and what became of it. Each method is one short transaction of its own.

The order of things around a group of messages (at most GROUP):

1. `begin` commits, durably, that these deliveries may be handed over (`sending`), after looking once more at the
   mailing, the reader and the suppression list;
2. the engine hands them over, journalling each dot before and each reply after;
3. the next `begin` (or `settle`) folds the outcomes in.

A chunk's `fence` rises with every lease. Who lost the lease can begin nothing more, but what it was told is still
believed: an outcome closes a `sending` or `unknown` delivery whoever holds the chunk.

Locks are taken in the order chunk, deliveries, mailing, by everybody: nobody waits in a circle.
"""

import datetime
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from flask import Flask
from sqlalchemy import bindparam, case, func, literal, or_, select, text, update
from sqlalchemy.orm import Session

from newsletter.delivery import finishing, recovery
from newsletter.delivery.cancelling import skip_chunk
from newsletter.delivery.composing import Compose, Composer, composer
from newsletter.delivery.models import Chunk, ChunkState, Delivery, DeliveryState, Mailing, MailingState, Reason
from newsletter.delivery.replies import Outcome, Verdict
from newsletter.delivery.settling import count, fold, settle
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import OwnSession, UTCDateTime, db, transaction

GROUP: Final = 128
"""Deliveries marked at a time, at most."""
IN_DOUBT: Final = 2 * GROUP
"""Deliveries of a worker process that are marked and not yet told, at most: unknown if its host goes down."""
LEASE: Final = datetime.timedelta(minutes=8)
"""Longer than the wait for the reply to a dot; what a stalled worker may hold up."""
SortOut = Callable[[Mapping[int, str]], Mapping[int, datetime.datetime]]
"""Delivery id to domain → of those that must wait for their mail hosts, until when."""


@dataclass(eq=False)
class Lease:
    """A chunk in this worker's hands."""

    chunk_id: int
    mailing_id: int
    fence: int
    composes: Composer
    bulk: bool
    per_hour: int | None
    """The speed that an operator gave the mailing."""
    position: int = 0
    """The delivery up to which the chunk has been begun."""
    exhausted: bool = False
    """Nothing is left to begin in it, or nothing of it may be."""
    open: int = 0
    """Deliveries begun whose outcome the ledger has not been told."""

    @property
    def sender(self) -> str:
        """From address of its messages."""
        return self.composes.sender

    @property
    def stream(self) -> str:
        """What they are, as relays are told apart by."""
        return self.composes.stream


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


class _StoppedError(Exception):
    """The mailing was paused or cancelled while the group was being begun: it is taken back."""


class Ledger:
    """The ledger as one worker process uses it; `owner` names the process in its leases."""

    def __init__(self, app: Flask, owner: str, lease: datetime.timedelta = LEASE) -> None:
        self._app = app
        with app.app_context():
            self._own = OwnSession(db.engine)
        self.owner = owner
        self._lease = lease
        self._composers: dict[int, Composer] = {}

    def close(self) -> None:
        """Let the connection go; called in the thread that used it."""
        self._own.close()

    def claim(self, *, bulk: bool) -> Lease | None:
        """Lease the next chunk that is ready, oldest first; None when there is no work.

        Raises CannotComposeError when no message can be made of its mailing.
        """
        now = utc_now()
        with self._app.app_context(), transaction() as session:
            query = _READY
            if session.get_bind().dialect.name == "postgresql":
                query = _READY.with_for_update(of=Chunk, skip_locked=True)
            found = session.execute(query, {"bulk": bulk, "now": now}).first()
            if found is None and recovery.regroup_due(session, now):
                found = session.execute(query, {"bulk": bulk, "now": now}).first()
            if found is None:
                return None
            chunk, mailing = found
            composes = self._composers.get(mailing.id) or composer(session, mailing)
            chunk.state, chunk.owner, chunk.fence = ChunkState.LEASED, self.owner, chunk.fence + 1
            chunk.leased_until = now + self._lease
            if mailing.started_at is None or mailing.not_before is not None:
                session.flush()
                started_at = func.coalesce(Mailing.started_at, literal(now, UTCDateTime()))
                session.execute(
                    update(Mailing)
                    .where(Mailing.id == mailing.id)
                    .values(started_at=started_at, not_before=None, paused_because="")
                    .execution_options(synchronize_session=False)
                )
            lease = Lease(chunk.id, mailing.id, chunk.fence, composes, bulk, mailing.per_hour)
        # Only now: one that was made in a transaction that failed holds rows that cannot be read any more.
        if len(self._composers) > 3:
            self._composers.clear()
        self._composers[mailing.id] = composes
        return lease

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
        except _StoppedError:
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
        renewed = (
            session.connection()
            .execute(
                _RENEW,
                {"chunk": lease.chunk_id, "at_fence": lease.fence, "by_owner": self.owner, "until": now + self._lease},
            )
            .first()
        )
        if renewed is None:
            lease.exhausted = True
            return False
        state, lease.per_hour = renewed
        if state == MailingState.CANCELLED:
            skip_chunk(session, lease.mailing_id, lease.chunk_id, now)
        if state != MailingState.SENDING:
            lease.exhausted = True
            return False
        prepared = lease.composes.prepare(session, lease.chunk_id, lease.position, size, now)
        lease.exhausted = len(prepared) < size
        if not prepared:
            return False
        first, lease.position = prepared[0].id, prepared[-1].id
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
        whole = (lease.chunk_id, first, lease.position) if len(group.messages) == len(prepared) else None
        _mark_skipped(session, lease.mailing_id, reasons, now)
        _mark_waiting(session, lease.mailing_id, waiting)
        if not group.messages:
            return False
        moves = {"accepted": accepted, "full": len(group.messages) if lease.composes.full else 0}
        _mark_sending(session, lease.mailing_id, list(group.messages), whole, moves, now)
        return True

    def settle(self, lease: Lease, told: Mapping[int, Outcome], relay_id: int) -> None:
        """Fold outcomes in."""
        if told:
            with self._own.transaction() as session:
                accepted = fold(session, told, relay_id, utc_now(), owner=self.owner)
                _count_accepted(session, lease.mailing_id, accepted)

    def release(self, lease: Lease) -> None:
        """Give the chunk back, done if nothing of it is left to send, and finish the mailing if this was the last."""
        now = utc_now()
        with self._app.app_context(), transaction() as session:
            if session.scalar(select(Mailing.state).where(Mailing.id == lease.mailing_id)) is MailingState.CANCELLED:
                skip_chunk(session, lease.mailing_id, lease.chunk_id, now)
            rest = session.execute(
                select(Delivery.state, Delivery.id).where(
                    Delivery.chunk_id == lease.chunk_id,
                    Delivery.state.in_((DeliveryState.PLANNED, DeliveryState.SENDING)),
                )
            ).all()
            planned = any(row.state is DeliveryState.PLANNED for row in rest)
            released = session.execute(
                update(Chunk)
                .where(Chunk.id == lease.chunk_id, Chunk.fence == lease.fence, Chunk.state == ChunkState.LEASED)
                .values(
                    state=ChunkState.READY if planned else ChunkState.DONE,
                    owner="",
                    leased_until=None,
                    not_before=now,
                )
                .execution_options(synchronize_session=False)
            )
            lost = [row.id for row in rest if row.state is DeliveryState.SENDING]
            if lost and released.rowcount:  # type: ignore[attr-defined]  # a cursor's result has it
                # All that we were told is told: what is open even so, a database that forgot a commit has left.
                forgotten = Outcome(Verdict.UNKNOWN, None, "the database forgot what became of it")
                settle(session, dict.fromkeys(lost, forgotten), now, owner="")
            finishing.finish_if_settled(session, lease.mailing_id, now)

    def next_due(self) -> datetime.datetime | None:
        """Return when the next delivery is due that waits for its time."""
        with self._app.app_context(), transaction() as session:
            return recovery.next_due(session)

    def put_off(self, mailing_id: int, until: datetime.datetime, *, because: str = "") -> None:
        """Let no worker claim anything of the mailing before `until`; `because` is for operators to see."""
        with self._app.app_context(), transaction() as session:
            session.execute(
                update(Mailing)
                .where(Mailing.id == mailing_id)
                .values(not_before=until, paused_because=because)
                .execution_options(synchronize_session=False)
            )


_READY: Final = (
    select(Chunk, Mailing)
    .join(Mailing, Mailing.id == Chunk.mailing_id)
    .where(
        Chunk.state == ChunkState.READY,
        Chunk.bulk == bindparam("bulk"),
        Chunk.not_before <= bindparam("now", type_=UTCDateTime()),
        Mailing.state == MailingState.SENDING,
        or_(Mailing.not_before.is_(None), Mailing.not_before <= bindparam("now", type_=UTCDateTime())),
    )
    .order_by(Chunk.not_before, Chunk.id)
    .limit(1)
)


def anything_ready(session: Session, now: datetime.datetime, *, bulk: bool) -> bool:
    """Tell whether there is a chunk to claim."""
    return session.execute(_READY, {"bulk": bulk, "now": now}).first() is not None


_RENEW: Final = (
    update(Chunk)
    .where(
        Chunk.id == bindparam("chunk"),
        Chunk.fence == bindparam("at_fence"),
        Chunk.owner == bindparam("by_owner"),
        Chunk.state == ChunkState.LEASED,
    )
    .values(leased_until=bindparam("until"))
    .returning(
        select(Mailing.state).where(Mailing.id == Chunk.mailing_id).scalar_subquery(),
        select(Mailing.per_hour).where(Mailing.id == Chunk.mailing_id).scalar_subquery(),
    )
    .execution_options(synchronize_session=False)
)


_MARK: Final = (
    update(Delivery)
    .where(
        Delivery.chunk_id == bindparam("chunk"),
        Delivery.id.between(bindparam("first"), bindparam("last")),
        Delivery.state == DeliveryState.PLANNED,
    )
    .values(
        state=DeliveryState.SENDING,
        offered_at=func.coalesce(Delivery.offered_at, bindparam("now", type_=UTCDateTime())),
    )
    .execution_options(synchronize_session=False)
)


def _mark_sending(
    session: Session,
    mailing_id: int,
    ids: list[int],
    whole: tuple[int, int, int] | None,
    moves: Mapping[str, int],
    now: datetime.datetime,
) -> None:
    """Mark deliveries as being sent, by the range of their keys where it holds no others (`whole`: chunk, from, to)."""
    connection = session.connection()
    if whole is not None:
        chunk, first, last = whole
        marked = connection.execute(_MARK, {"chunk": chunk, "first": first, "last": last, "now": now})
    else:
        marked = connection.execute(
            update(Delivery)
            .where(Delivery.id.in_(ids), Delivery.state == DeliveryState.PLANNED)
            .values(
                state=DeliveryState.SENDING,
                offered_at=case((Delivery.offered_at.is_(None), now), else_=Delivery.offered_at),
            )
        )
    begun = connection.execute(_BEGUN, {"mailing": mailing_id, "number": len(ids), **moves})
    if marked.rowcount != len(ids) or not begun.rowcount:
        raise _StoppedError


_BEGUN: Final = text(
    "UPDATE mailings SET planned = planned - :number, sending = sending + :number - :accepted, "
    "accepted = accepted + :accepted, rendered_in_full = rendered_in_full + :full "
    "WHERE id = :mailing AND state = 'sending'"
)


def _count_accepted(session: Session, mailing_id: int, number: int) -> None:
    if number:
        count(session, {(mailing_id, DeliveryState.SENDING, DeliveryState.ACCEPTED): number})


def _mark_waiting(session: Session, mailing_id: int, waiting: Mapping[int, datetime.datetime]) -> None:
    """Defer deliveries whose mail hosts take no more for now; that is no attempt."""
    if waiting:
        session.connection().execute(
            _WAIT, [{"key": delivery_id, "until": until} for delivery_id, until in waiting.items()]
        )
        count(session, {(mailing_id, DeliveryState.PLANNED, DeliveryState.DEFERRED): len(waiting)})


_WAIT: Final = text(
    "UPDATE deliveries SET state = 'deferred', retry_at = :until, reply_code = NULL, failure = NULL WHERE id = :key"
).bindparams(bindparam("until", type_=UTCDateTime()))


def _mark_skipped(session: Session, mailing_id: int, reasons: Mapping[int, Reason], now: datetime.datetime) -> None:
    for reason in set(reasons.values()):
        ids = [delivery_id for delivery_id, why in reasons.items() if why is reason]
        state = DeliveryState.FAILED if reason is Reason.UNSENDABLE else DeliveryState.SKIPPED
        session.execute(
            update(Delivery)
            .where(Delivery.id.in_(ids))
            .values(state=state, reason=reason, settled_at=now)
            .execution_options(synchronize_session=False)
        )
        count(session, {(mailing_id, DeliveryState.PLANNED, state): len(ids)})
