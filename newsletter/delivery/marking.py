"""Marking: the durable word, before any dot of a group is written, that these deliveries may be on their way."""

import datetime
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import TextClause, bindparam, text, update
from sqlalchemy.orm import Session

from newsletter.delivery.models import Delivery, DeliveryState, Reason
from newsletter.delivery.settling import count
from newsletter.foundation.db import UTCDateTime


class StoppedError(Exception):
    """The chunk is another's by now, or its mailing was paused or cancelled: the group is taken back."""


def check(session: Session, values: Mapping[str, object]) -> None:
    """Renew the lease. Raises StoppedError unless the chunk is ours and its mailing goes on."""
    _stop_unless(session, _HELD, values)
    _stop_unless(session, _GOING, values)


def send(session: Session, values: Mapping[str, Any]) -> int | None:
    """Mark a group as being sent, if the chunk is still ours and the mailing goes on; returns the mailing's speed.

    Deliveries are marked by the range of their keys, or by `ids` where that holds others, too. Nobody else marks
    planned ones of a chunk that we hold, so that the mailing may be locked before them. Raises StoppedError as `check`.
    """
    connection, by = session.connection(), "ids" if "ids" in values else "range"
    if connection.dialect.name == "postgresql":
        per_hour, marked = connection.execute(_MARK_AT_ONCE[by], values).one()
    else:
        _stop_unless(session, _HELD, values)
        begun = connection.execute(_BEGUN, values).first()
        if begun is None:
            raise StoppedError
        (per_hour,), marked = begun, connection.execute(_MARK[by], values).rowcount
    if marked != values["number"]:
        raise StoppedError
    return per_hour  # type: ignore[no-any-return]  # text() tells no types


def put_off(session: Session, mailing_id: int, waiting: Mapping[int, datetime.datetime]) -> None:
    """Defer deliveries whose mail hosts take no more for now; that is no attempt."""
    if waiting:
        session.connection().execute(
            _WAIT, [{"key": delivery_id, "until": until} for delivery_id, until in waiting.items()]
        )
        count(session, {(mailing_id, DeliveryState.PLANNED, DeliveryState.DEFERRED): len(waiting)})


_WAIT: Final = text(
    "UPDATE deliveries SET state = 'deferred', retry_at = :until, reply_code = NULL, failure = NULL WHERE id = :key"
).bindparams(bindparam("until", type_=UTCDateTime()))


def skip(session: Session, mailing_id: int, reasons: Mapping[int, Reason], now: datetime.datetime) -> None:
    """Settle deliveries that are not to be sent, each for its reason."""
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


def _stop_unless(session: Session, statement: TextClause, values: Mapping[str, object]) -> None:
    """Execute a statement that must find its row."""
    if not session.connection().execute(statement, values).rowcount:
        raise StoppedError


_HELD_SQL: Final = (
    "UPDATE chunks SET leased_until = :until "
    "WHERE id = :chunk AND fence = :at_fence AND owner = :by_owner AND state = 'leased'"
)
_BEGUN_SQL: Final = (
    "UPDATE mailings SET planned = planned - :number, sending = sending + :number - :accepted, "
    "accepted = accepted + :accepted, rendered_in_full = rendered_in_full + :full "
)
_MARK_SQL: Final = "UPDATE deliveries SET state = 'sending', offered_at = coalesce(offered_at, :now) "
_WHICH: Final = {
    "range": "chunk_id = :chunk AND deliveries.id BETWEEN :from_id AND :to_id AND deliveries.state = 'planned'",
    "ids": "deliveries.id IN :ids AND deliveries.state = 'planned'",
}
_TYPES: Final = {
    "range": (bindparam("now", type_=UTCDateTime()),),
    "ids": (bindparam("now", type_=UTCDateTime()), bindparam("ids", expanding=True)),
}
_HELD: Final = text(_HELD_SQL).bindparams(bindparam("until", type_=UTCDateTime()))
_GOING: Final = text("UPDATE mailings SET state = state WHERE id = :mailing AND state = 'sending'")
_BEGUN: Final = text(f"{_BEGUN_SQL} WHERE id = :mailing AND state = 'sending' RETURNING per_hour")
_MARK: Final = {by: text(f"{_MARK_SQL} WHERE {_WHICH[by]}").bindparams(*_TYPES[by]) for by in _WHICH}
_MARK_AT_ONCE: Final = {
    by: text(
        f"WITH held AS ({_HELD_SQL} RETURNING id), "  # noqa: S608  (put together from the constants above)
        f"begun AS ({_BEGUN_SQL} FROM held WHERE mailings.id = :mailing AND state = 'sending' RETURNING per_hour), "
        f"marked AS ({_MARK_SQL} FROM begun WHERE {_WHICH[by]} RETURNING 1) "
        "SELECT (SELECT per_hour FROM begun), (SELECT count(*) FROM marked)"
    ).bindparams(bindparam("until", type_=UTCDateTime()), *_TYPES[by])
    for by in _WHICH
}
"""The same in one statement, where it can be one: each costs a round trip, and twice the wait for the interpreter."""
