"""Figures and states as operators read them."""

from typing import Final

from newsletter.audience.models import Cadence
from newsletter.delivery.models import Reason
from newsletter.delivery.replies import Failure
from newsletter.digests.models import SkipReason

SKIPPED: Final = {
    SkipReason.NOTHING_NEW: "nothing new",
    SkipReason.TOO_LATE: "too late",
    SkipReason.HELD: "held past its time",
}
REASONS: Final = {
    Reason.LEFT: "left before it was their turn",
    Reason.PAUSED: "paused before it was their turn",
    Reason.SUPPRESSED: "on the suppression list",
    Reason.CANCELLED: "cancelled by an operator",
    Reason.EXPIRED: "no longer wanted or valid",
    Reason.NOTHING_NEW: "nothing left to send: articles were held or withdrawn",
    Reason.REFUSED: "refused by the relay for good",
    Reason.GAVE_UP: "temporary errors until its time was over",
    Reason.UNSENDABLE: "no message could be made that the relay takes",
}
FAILURES: Final = {
    Failure.READER: ("the address was called dead", "Resend only when you know that it was a provider's mistake."),
    Failure.MAILBOX: ("the mailbox was full, or took nothing", ""),
    Failure.DOMAIN: ("the domain was not found, or takes no mail", ""),
    Failure.AUTHENTICATION: ("we were not recognised as the sender", "Resend once SPF, DKIM and DMARC are right."),
    Failure.REPUTATION: ("blocked, or against the provider's policy", "Resend once the block is lifted, and slowly."),
    Failure.BUG: ("the message was not as it should be", "The same message fails again, unless the relay changed."),
    Failure.ADDRESS: ("the relay cannot take such an address", "Resend once there is a relay that can (SMTPUTF8)."),
    Failure.TEMPORARY: ("temporary errors until its time was over", ""),
    None: ("no message could be made", ""),
}
"""What a delivery failed for, and what to know before it is sent again."""
_DAYS: Final = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")


def rate(per_second: float) -> str:
    """Write a rate with its unit; one decimal where it is slow."""
    return f"{per_second:,.0f} mails/s" if per_second >= 10 else f"{per_second:.1f} mails/s"


def duration(seconds: int) -> str:
    """Write a duration in its two greatest units."""
    if seconds < 60:
        return f"{seconds} s"
    minutes, rest = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes < 10 and rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def pace(cadence: Cadence) -> str:
    """Say when a cadence goes out: `every day at 07:00`."""
    days = "every day" if cadence.daily else ", ".join(_DAYS[int(day) - 1] for day in cadence.weekdays)
    return f"{days} at {cadence.hour:02}:{cadence.minute:02}"
