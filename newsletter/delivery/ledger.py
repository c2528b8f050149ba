"""The ledger: who may send what, and what became of it. Each method is one short transaction of its own.

The order of things around a group of messages (at most GROUP):

1. `begin_group` commits, durably, that these deliveries may be handed over (`sending`), after looking once more at the
   mailing, the reader and the suppression list;
2. the engine hands them over, journalling each dot before and each reply after;
3. the next `begin_group` (or `settle`) folds the outcomes in.

A chunk's `fence` rises with every lease. Who lost the lease can begin nothing more, but what it was told is still
believed: an outcome closes a `sending` or `unknown` delivery whoever holds the chunk.
"""

import datetime
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from flask import Flask
from sqlalchemy import bindparam, case, literal, select, text, update
from sqlalchemy.orm import Session

from newsletter.delivery import finishing, retrying
from newsletter.delivery.composing import Compose, Composer, composer
from newsletter.delivery.models import Chunk, ChunkState, Delivery, DeliveryState, Mailing, MailingState, Reason
from newsletter.delivery.replies import Outcome, Verdict
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import transaction

GROUP: Final = 80
"""Deliveries marked at a time. Up to three groups of a process are open at once (being told, on the wire, begun): less
than 256 deliveries are in doubt if host and journal go down together."""
LEASE: Final = datetime.timedelta(minutes=8)
"""Longer than the wait for the reply to a dot; what a stalled worker may hold up."""
_CLOSES: Final = {
    Verdict.ACCEPTED: (DeliveryState.ACCEPTED, None),
    Verdict.REFUSED: (DeliveryState.FAILED, Reason.REFUSED),
    Verdict.UNSENDABLE: (DeliveryState.FAILED, Reason.UNSENDABLE),
    Verdict.UNKNOWN: (DeliveryState.UNKNOWN, None),
}


_SETTLED: Final = (DeliveryState.ACCEPTED, DeliveryState.FAILED)


@dataclass(frozen=True)
class Lease:
    """A chunk in this worker's hands until `until`."""

    chunk_id: int
    mailing_id: int
    fence: int
    until: datetime.datetime


@dataclass
class Group:
    """Deliveries that may be sent now, each with what makes its message."""

    messages: dict[int, Compose] = field(default_factory=dict)
    last: bool = False
    """Nothing of the chunk is left behind this group."""


class Ledger:
    """The ledger as one worker process uses it; `owner` names the process in its leases."""

    def __init__(self, app: Flask, owner: str) -> None:
        self._app = app
        self.owner = owner
        self._composers: dict[int, Composer] = {}

    def claim(self, *, bulk: bool) -> Lease | None:
        """Lease the next chunk that is ready, oldest first; None when there is no work."""
        now = utc_now()
        with self._app.app_context(), transaction() as session:
            query = (
                select(Chunk)
                .join(Mailing, Mailing.id == Chunk.mailing_id)
                .where(
                    Chunk.state == ChunkState.READY,
                    Chunk.bulk == bulk,
                    Chunk.not_before <= now,
                    Mailing.state == MailingState.SENDING,
                )
                .order_by(Chunk.not_before, Chunk.id)
                .limit(1)
            )
            if session.get_bind().dialect.name == "postgresql":
                query = query.with_for_update(of=Chunk, skip_locked=True)
            chunk = session.scalar(query)
            if chunk is None:
                return None
            chunk.state, chunk.owner, chunk.fence = ChunkState.LEASED, self.owner, chunk.fence + 1
            chunk.leased_until = now + LEASE
            session.execute(
                update(Mailing)
                .where(Mailing.id == chunk.mailing_id, Mailing.started_at.is_(None))
                .values(started_at=now)
                .execution_options(synchronize_session=False)
            )
            return Lease(chunk.id, chunk.mailing_id, chunk.fence, chunk.leased_until)

    def begin_group(self, lease: Lease, outcomes: Mapping[int, Outcome]) -> Group | None:
        """Fold `outcomes` in and mark the next deliveries as being sent; None when the chunk is no longer ours to send.

        A mailing that was paused or cancelled, a reader who left, paused or is suppressed: looked at here, for the
        last time before the dot.
        """
        now = utc_now()
        with self._app.app_context(), transaction() as session:
            settle(session, outcomes, now)
            if not self._renew(session, lease, now):
                return None
            mailing = session.get_one(Mailing, lease.mailing_id, populate_existing=True)
            if mailing.state is MailingState.CANCELLED:
                _skip_chunk(session, lease, now)
                return Group(last=True)
            if mailing.state is not MailingState.SENDING:
                return None
            rows = session.execute(_planned(lease.chunk_id)).all()
            group = Group(last=len(rows) < GROUP)
            prepared = self._composer(session, mailing).prepare(session, rows, now)
            reasons = {key: reason for key, reason in prepared.items() if isinstance(reason, Reason)}
            group.messages = {key: compose for key, compose in prepared.items() if not isinstance(compose, Reason)}
            _mark_sending(session, mailing.id, group.messages, now)
            _mark_skipped(session, mailing.id, reasons, now)
            return group

    def settle(self, outcomes: Mapping[int, Outcome]) -> None:
        """Fold outcomes in."""
        if outcomes:
            with self._app.app_context(), transaction() as session:
                settle(session, outcomes, utc_now())

    def release(self, lease: Lease, *, not_before: datetime.datetime | None = None) -> None:
        """Give the chunk back, done if nothing of it is left to send, and finish the mailing if this was the last."""
        now = utc_now()
        with self._app.app_context(), transaction() as session:
            left = session.scalar(
                select(literal(1)).where(
                    select(Delivery.id)
                    .where(
                        Delivery.chunk_id == lease.chunk_id,
                        Delivery.state.in_((DeliveryState.PLANNED, DeliveryState.SENDING)),
                    )
                    .exists()
                )
            )
            session.execute(
                update(Chunk)
                .where(Chunk.id == lease.chunk_id, Chunk.fence == lease.fence, Chunk.state == ChunkState.LEASED)
                .values(
                    state=ChunkState.READY if left else ChunkState.DONE,
                    owner="",
                    leased_until=None,
                    not_before=not_before or now,
                )
            )
            finishing.finish_if_settled(session, lease.mailing_id, now)

    def _renew(self, session: Session, lease: Lease, now: datetime.datetime) -> bool:
        renewed = session.execute(
            update(Chunk)
            .where(
                Chunk.id == lease.chunk_id,
                Chunk.fence == lease.fence,
                Chunk.owner == self.owner,
                Chunk.state == ChunkState.LEASED,
            )
            .values(leased_until=now + LEASE)
        )
        return bool(renewed.rowcount)  # type: ignore[attr-defined]  # a cursor's result has it

    def _composer(self, session: Session, mailing: Mailing) -> Composer:
        if mailing.id not in self._composers:
            if len(self._composers) > 3:
                self._composers.clear()
            self._composers[mailing.id] = composer(session, mailing)
        return self._composers[mailing.id]


def settle(session: Session, outcomes: Mapping[int, Outcome], now: datetime.datetime) -> None:
    """Move deliveries from `sending` or `unknown` to what `outcomes` say, and the mailings' counters with them."""
    if not outcomes:
        return
    known = session.execute(
        select(Delivery.id, Delivery.state, Delivery.mailing_id, Delivery.attempts, Mailing.kind, Mailing.give_up_at)
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .where(Delivery.id.in_(list(outcomes)), Delivery.state.in_((DeliveryState.SENDING, DeliveryState.UNKNOWN)))
        .order_by(Delivery.id)
    ).all()
    changes: list[dict[str, Any]] = []
    moves: Counter[tuple[int, DeliveryState, DeliveryState]] = Counter()
    for row in known:
        outcome = outcomes[row.id]
        if outcome.verdict in _CLOSES:
            state, reason, retry_at = *_CLOSES[outcome.verdict], None
            if outcome.verdict is Verdict.UNKNOWN and row.state is DeliveryState.UNKNOWN:
                continue
        elif outcome.verdict is Verdict.TEMPORARY:
            state, reason, retry_at = retrying.after(row.kind, row.attempts, now, row.give_up_at, row.id)
        else:  # ours, or never sent: as if it had not been tried
            state, reason, retry_at = DeliveryState.PLANNED, None, None
        changes.append(
            {
                "b_id": row.id,
                "state": state,
                "reason": reason,
                "retry_at": retry_at,
                "attempts": row.attempts if state is DeliveryState.PLANNED else row.attempts + 1,
                "settled_at": now if state in _SETTLED else None,
                "unknown_at": now if state is DeliveryState.UNKNOWN else None,
                "failure": outcome.failure,
                "reply_code": outcome.code,
                "reply_text": outcome.text or None,
            }
        )
        moves[row.mailing_id, row.state, state] += 1
    if changes:
        _write(session, changes)
        count(session, moves)


def count(session: Session, moves: Mapping[tuple[int, DeliveryState, DeliveryState], int]) -> None:
    """Move the counters of mailings: (mailing id, from, to) → how many."""
    for mailing_id in sorted({mailing_id for mailing_id, _, _ in moves}):
        change: Counter[str] = Counter()
        for (mailing, old, new), number in moves.items():
            if mailing == mailing_id:
                change[old.value] -= number
                change[new.value] += number
        values = {name: getattr(Mailing, name) + number for name, number in change.items() if number}
        if values:
            session.execute(
                update(Mailing)
                .where(Mailing.id == mailing_id)
                .values(values)
                .execution_options(synchronize_session=False)
            )


_UPDATE: Final = (
    update(Delivery)
    .where(Delivery.id == bindparam("b_id"))
    .values(
        {
            name: bindparam(name)
            for name in (
                "state",
                "reason",
                "retry_at",
                "attempts",
                "settled_at",
                "unknown_at",
                "failure",
                "reply_code",
                "reply_text",
            )
        }
    )
)
_UNNEST: Final = text(
    "UPDATE deliveries d SET state = v.state, reason = v.reason, retry_at = v.retry_at, attempts = v.attempts, "
    "settled_at = v.settled_at, unknown_at = v.unknown_at, failure = v.failure, "
    "reply_code = v.reply_code, reply_text = v.reply_text "
    "FROM unnest(CAST(:ids AS bigint[]), CAST(:states AS text[]), CAST(:reasons AS text[]), "
    "CAST(:retries AS timestamptz[]), CAST(:attempts AS int[]), CAST(:settled AS timestamptz[]), "
    "CAST(:unknown AS timestamptz[]), CAST(:failures AS text[]), CAST(:codes AS int[]), CAST(:texts AS text[])) "
    "AS v(id, state, reason, retry_at, attempts, settled_at, unknown_at, failure, reply_code, reply_text) "
    "WHERE d.id = v.id"
)


def _write(session: Session, changes: Sequence[Mapping[str, Any]]) -> None:
    """Write all changes in one statement where the engine can, else one prepared statement run for each."""
    if session.get_bind().dialect.name != "postgresql":
        session.connection().execute(_UPDATE, list(changes))
        return
    session.execute(
        _UNNEST,
        {
            "ids": [change["b_id"] for change in changes],
            "states": [change["state"].value for change in changes],
            "reasons": [change["reason"] and change["reason"].value for change in changes],
            "retries": [change["retry_at"] for change in changes],
            "attempts": [change["attempts"] for change in changes],
            "settled": [change["settled_at"] for change in changes],
            "unknown": [change["unknown_at"] for change in changes],
            "failures": [change["failure"] and change["failure"].value for change in changes],
            "codes": [change["reply_code"] for change in changes],
            "texts": [change["reply_text"] for change in changes],
        },
    )


def _planned(chunk_id: int) -> Any:
    return (
        select(
            Delivery.id,
            Delivery.subscriber_id,
            Delivery.confirmation_id,
            Delivery.copy_address,
            Delivery.after_number,
            Delivery.offered_at,
        )
        .where(Delivery.chunk_id == chunk_id, Delivery.state == DeliveryState.PLANNED)
        .order_by(Delivery.id)
        .limit(GROUP)
    )


def _mark_sending(session: Session, mailing_id: int, ids: Iterable[int], now: datetime.datetime) -> None:
    ids = list(ids)
    if ids:
        session.execute(
            update(Delivery)
            .where(Delivery.id.in_(ids))
            .values(
                state=DeliveryState.SENDING,
                offered_at=case((Delivery.offered_at.is_(None), now), else_=Delivery.offered_at),
            )
            .execution_options(synchronize_session=False)
        )
        count(session, {(mailing_id, DeliveryState.PLANNED, DeliveryState.SENDING): len(ids)})


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


def _skip_chunk(session: Session, lease: Lease, now: datetime.datetime) -> None:
    skipped = session.execute(
        update(Delivery)
        .where(Delivery.chunk_id == lease.chunk_id, Delivery.state == DeliveryState.PLANNED)
        .values(state=DeliveryState.SKIPPED, reason=Reason.CANCELLED, settled_at=now)
        .execution_options(synchronize_session=False)
    )
    number = skipped.rowcount  # type: ignore[attr-defined]
    count(session, {(lease.mailing_id, DeliveryState.PLANNED, DeliveryState.SKIPPED): number})
