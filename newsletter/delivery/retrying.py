"""When a temporary error is tried again, and when it is given up (standards S7)."""

import datetime
from typing import Final

from newsletter.delivery.models import DeliveryState, MailingKind, Reason

_MINUTES: Final = {
    MailingKind.RUN: (15, 30, 60, 120, 240),
    MailingKind.CONFIRMATIONS: (1, 5, 15, 30, 60),
}
RESENDS: Final = 3
"""How often a confirmation mail whose reply never came is sent again, with the same Message-ID (standards S8)."""


def after(
    kind: MailingKind, attempts: int, now: datetime.datetime, give_up_at: datetime.datetime, delivery_id: int
) -> tuple[DeliveryState, Reason | None, datetime.datetime | None]:
    """Return state, reason and time of the next attempt after a temporary error, `attempts` having gone before.

    The delay grows; up to a fifth of it is added by the delivery's number, so that a domain's mail does not come back
    all at once.
    """
    steps = _MINUTES[kind]
    minutes = steps[min(attempts, len(steps) - 1)]
    retry_at = now + datetime.timedelta(minutes=minutes * (1 + delivery_id % 97 / 485))
    if retry_at >= give_up_at:
        return DeliveryState.FAILED, Reason.GAVE_UP, None
    return DeliveryState.DEFERRED, None, retry_at
