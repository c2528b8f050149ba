"""Settling: what the relay's replies, evidence or an operator make of deliveries, and the mailings' sums with them."""

import datetime
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import and_, bindparam, or_, select, text, update
from sqlalchemy.orm import Session

from newsletter.delivery import finishing, retrying
from newsletter.delivery.models import Chunk, Delivery, DeliveryState, Mailing, MailingState, Reason
from newsletter.delivery.replies import Outcome, Verdict
from newsletter.foundation.db import UTCDateTime

_CLOSES: Final = {
    Verdict.ACCEPTED: (DeliveryState.ACCEPTED, None),
    Verdict.REFUSED: (DeliveryState.FAILED, Reason.REFUSED),
    Verdict.UNSENDABLE: (DeliveryState.FAILED, Reason.UNSENDABLE),
    Verdict.UNKNOWN: (DeliveryState.UNKNOWN, None),
}
_PUT_OFF: Final = (Verdict.TEMPORARY, Verdict.BLOCKED)
_SETTLED: Final = (DeliveryState.ACCEPTED, DeliveryState.FAILED, DeliveryState.SKIPPED)


def fold(session: Session, told: Mapping[int, Outcome], relay_id: int, now: datetime.datetime, *, owner: str) -> int:
    """Record what `owner` was told: in one statement where all were accepted, the rule by far.

    Returns how many moved from `sending` to `accepted`: the caller moves the mailing's counters by those.
    """
    taken = {key: outcome for key, outcome in told.items() if outcome.verdict is Verdict.ACCEPTED}
    moved = _accept(session, taken, relay_id, now) if taken else 0
    if moved == len(taken):
        told = {key: outcome for key, outcome in told.items() if key not in taken} if len(told) > moved else {}
    settle(session, told, now, relay_id, owner=owner)
    return moved


def _accept(session: Session, taken: Mapping[int, Outcome], relay_id: int, now: datetime.datetime) -> int:
    """Move those that are being sent to accepted; returns how many they were."""
    shared = {"now": now, "relay": relay_id}
    if session.get_bind().dialect.name == "postgresql":
        # As three words rather than three arrays: the driver looks at each element of an array.
        values = {
            "ids": ",".join(map(str, taken)),
            "codes": ",".join([str(outcome.code) for outcome in taken.values()]),
            "texts": "\n".join([outcome.text for outcome in taken.values()]),
        }
        return session.connection().execute(_ACCEPT_ALL, shared | values).rowcount
    rows = [shared | {"id": key, "code": outcome.code, "text": outcome.text} for key, outcome in taken.items()]
    return session.connection().execute(_ACCEPT_ONE, rows).rowcount


_ACCEPTED: Final = (
    "UPDATE deliveries SET state = 'accepted', attempts = attempts + 1, settled_at = :now, relay_id = :relay, "
    "reason = NULL, failure = NULL, "
)
_ACCEPT_ALL: Final = text(
    _ACCEPTED + "reply_code = told.code, reply_text = told.words "
    "FROM unnest(CAST(string_to_array(:ids, ',') AS bigint[]), CAST(string_to_array(:codes, ',') AS int[]), "
    "string_to_array(:texts, chr(10), '')) AS told(key, code, words) "
    "WHERE id = told.key AND state = 'sending'"
).bindparams(bindparam("now", type_=UTCDateTime()))
_ACCEPT_ONE: Final = text(
    _ACCEPTED + "reply_code = :code, reply_text = :text WHERE id = :id AND state = 'sending'"
).bindparams(bindparam("now", type_=UTCDateTime()))


def settle(
    session: Session,
    outcomes: Mapping[int, Outcome],
    now: datetime.datetime,
    relay_id: int | None = None,
    *,
    owner: str,
) -> None:
    """Move deliveries from `sending` or `unknown` to what `outcomes` say, and the mailings' counters with them.

    What is being sent by another than `owner` only the news moves that it was accepted: whatever else an earlier owner
    was told is not about that attempt.
    """
    if not outcomes:
        return
    accepted = [key for key, outcome in outcomes.items() if outcome.verdict is Verdict.ACCEPTED]
    query = (
        select(
            Delivery.id,
            Delivery.state,
            Delivery.mailing_id,
            Delivery.attempts,
            Mailing.kind,
            Mailing.give_up_at,
            Mailing.state.label("of_mailing"),
        )
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .join(Chunk, Chunk.id == Delivery.chunk_id)
        .where(
            Delivery.id.in_(list(outcomes)),
            or_(
                Delivery.state == DeliveryState.UNKNOWN,
                and_(
                    Delivery.state == DeliveryState.SENDING,
                    or_(Chunk.owner == owner, Delivery.id.in_(accepted)),
                ),
            ),
        )
        .order_by(Delivery.id)
    )
    if session.get_bind().dialect.name == "postgresql":
        query = query.with_for_update(of=Delivery)  # two who settle the same ones count them once
    known = session.execute(query).all()
    changes: list[dict[str, Any]] = []
    moves: Counter[tuple[int, DeliveryState, DeliveryState]] = Counter()
    for row in known:
        outcome = outcomes[row.id]
        if outcome.verdict is Verdict.UNKNOWN and row.state is DeliveryState.UNKNOWN:
            continue
        state, reason, retry_at = _becomes(row, outcome.verdict, now)
        changes.append(
            {
                "b_id": row.id,
                "state": state,
                "reason": reason,
                "retry_at": retry_at,
                "attempts": row.attempts + (outcome.verdict in _CLOSES or outcome.verdict in _PUT_OFF),
                "settled_at": now if state in _SETTLED else None,
                "unknown_at": now if state is DeliveryState.UNKNOWN else None,
                "failure": outcome.failure,
                "relay_id": relay_id,
                "reply_code": outcome.code,
                "reply_text": outcome.text or None,
            }
        )
        moves[row.mailing_id, row.state, state] += 1
    if changes:
        session.connection().execute(_UPDATE, changes)
        count(session, moves)
        # Looked at after the counters have moved, under the mailing's lock: another worker may just have finished it.
        for mailing_id in sorted({mailing for mailing, _, new in moves if new is DeliveryState.DEFERRED}):
            finishing.reopen(session, mailing_id, now)


def _becomes(
    row: Any, verdict: Verdict, now: datetime.datetime
) -> tuple[DeliveryState, Reason | None, datetime.datetime | None]:
    """Return the delivery's new state, its reason, and when it is tried again."""
    if verdict in _CLOSES:
        return *_CLOSES[verdict], None
    if row.of_mailing is MailingState.CANCELLED:
        return DeliveryState.SKIPPED, Reason.CANCELLED, None
    if verdict in _PUT_OFF:
        return retrying.after(row.kind, row.attempts, now, row.give_up_at, row.id)
    # Ours, or never sent: as if it had not been tried. The chunk of one that was given up as unknown may be done by
    # now: what is due again is put into another.
    if row.state is DeliveryState.UNKNOWN:
        return DeliveryState.DEFERRED, None, now
    return DeliveryState.PLANNED, None, None


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
                "relay_id",
                "reply_code",
                "reply_text",
            )
        }
    )
)
