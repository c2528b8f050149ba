"""Figures and states as operators read them."""

from typing import Final

from newsletter.audience.models import Cadence
from newsletter.delivery.models import Reason
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
