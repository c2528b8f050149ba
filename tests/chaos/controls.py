"""Negative controls: the program broken on purpose in the ways that the design must prevent.

Each is installed in the process that is to work; the checker must find what comes of it. One that it does not find
would mean that the experiments prove nothing.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session
from sqlalchemy.sql import Select

from newsletter.delivery import recovery
from newsletter.delivery.leases import Lease
from newsletter.delivery.ledger import Group, Ledger
from newsletter.delivery.models import Delivery, DeliveryState
from newsletter.delivery.settling import count
from newsletter.foundation.db import transaction


def resend_blindly() -> None:
    """Take for unsent whatever a dead worker did not get an answer to."""
    careful = recovery._give_back

    def blind(session: Session, chunk: Any, now: Any, dotted: Any) -> None:
        careful(session, chunk, now, frozenset())

    recovery._give_back = blind


def commit_after_the_dot() -> None:
    """Say that deliveries are being sent only when it is over: until then the ledger has them as planned."""
    begin, settle = Ledger.begin, Ledger.settle

    def late(self: Ledger, lease: Lease, size: int, told: Mapping[int, Any], *more: Any) -> Group:
        _say(self, lease, told, DeliveryState.PLANNED, DeliveryState.SENDING)
        group = begin(self, lease, size, told, *more)
        _say(self, lease, group.messages, DeliveryState.SENDING, DeliveryState.PLANNED)
        return group

    def late_settle(self: Ledger, lease: Lease, told: Mapping[int, Any], relay_id: int) -> None:
        _say(self, lease, told, DeliveryState.PLANNED, DeliveryState.SENDING)
        settle(self, lease, told, relay_id)

    Ledger.begin, Ledger.settle = late, late_settle  # type: ignore[method-assign,assignment]  # broken on purpose


def _say(ledger: Ledger, lease: Lease, ids: Mapping[int, Any], old: DeliveryState, new: DeliveryState) -> None:
    if not ids:
        return
    with ledger._app.app_context(), transaction() as session:
        moved = session.execute(
            update(Delivery).where(Delivery.id.in_(list(ids)), Delivery.state == old).values(state=new)
        )
        count(session, {(lease.mailing_id, old, new): moved.rowcount})  # type: ignore[attr-defined]  # a cursor's result has it


def wait_for_locked_rows() -> Any:
    """Let whoever reads rows to change them wait for those that another holds; returns what puts it right again."""
    skipping = Select.with_for_update

    def waiting(self: Any, **options: Any) -> Any:
        return skipping(self, **(options | {"skip_locked": False}))

    Select.with_for_update = waiting  # type: ignore[method-assign]  # broken on purpose
    return lambda: setattr(Select, "with_for_update", skipping)
