"""When a source is asked again, and how it is doing. Pure."""

import dataclasses
import datetime
import enum
import re
from collections.abc import Mapping
from typing import Final

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

USUAL: Final = 15 * MINUTE
"""Between two attempts at a source that works and says nothing about its pace."""
FLOOR: Final = 5 * MINUTE
FRESH_CEILING: Final = 6 * HOUR
"""The longest `max-age` that is believed: beyond it a digest would miss a day's news over a careless header."""
FAILURE_CEILING: Final = DAY
"""The longest pause that our own back-off makes."""
ASKED_CEILING: Final = 7 * DAY
"""The longest pause that a server may ask for (Retry-After)."""
ALARM_AFTER: Final = datetime.timedelta(days=1)
"""Without a success, a source that fails is the operator's business (standards I13)."""


def seconds_after_success(headers: Mapping[str, str], usual: int = USUAL) -> int:
    """Return when to fetch again after 200 or 304: not while the answer is fresh (RFC 9111 section 4.2)."""
    return min(max(usual, FLOOR, _freshness(headers)), max(FRESH_CEILING, usual))


def seconds_after_failure(failures: int, retry_after: int | None = None, usual: int = USUAL) -> int:
    """Return when to try again after the `failures`-th failure in a row (from 1): twice as long each time.

    A server that names a time is given it, even where ours would be shorter.
    """
    own = min(max(usual, FLOOR) << min(max(failures, 1) - 1, 20), FAILURE_CEILING)
    return max(own, min(retry_after or 0, ASKED_CEILING))


class State(enum.StrEnum):
    """How a source is doing."""

    NEW = "new"
    WELL = "well"
    AILING = "ailing"
    """It failed lately; nothing to do yet."""
    FAILING = "failing"
    """It has failed for so long that someone should look."""
    GONE = "gone"
    PAUSED = "paused"


@dataclasses.dataclass(frozen=True, slots=True)
class Health:
    """A state and the sentence that explains it to an operator."""

    state: State
    sentence: str


def health(
    now: datetime.datetime,
    *,
    created_at: datetime.datetime,
    last_success_at: datetime.datetime | None,
    failures: int,
    last_error: str,
    gone: bool = False,
    paused: bool = False,
) -> Health:
    """Judge a source by what is stored about it."""
    if paused:
        return Health(State.PAUSED, "Paused.")
    if gone:
        return Health(State.GONE, "The server says it is gone for good; it is not asked again until you say so.")
    if failures == 0:
        if last_success_at is None:
            return Health(State.NEW, "Not fetched yet.")
        return Health(State.WELL, f"Works; last read {span(now - last_success_at)} ago.")
    since = now - (last_success_at or created_at)
    past = f"It last worked {span(since)} ago." if last_success_at else "It has never worked."
    times = "once" if failures == 1 else f"{failures} times in a row"
    state = State.FAILING if since >= ALARM_AFTER else State.AILING
    return Health(state, f"Failed {times}. {past} {last_error}".strip())


def span(time: datetime.timedelta) -> str:
    """Say how long `time` is, in its largest unit: `3 hours`."""
    seconds = max(0, int(time.total_seconds()))
    for unit, size in (("day", DAY), ("hour", HOUR), ("minute", MINUTE)):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "less than a minute"


def _freshness(headers: Mapping[str, str]) -> int:
    control = headers.get("cache-control", "").lower()
    found = re.search(r"(?:^|[\s,])max-age\s*=\s*\"?([0-9]{1,9})(?![0-9])", control)
    if found is None or re.search(r"\bno-(?:cache|store)\b", control):
        return 0
    age = headers.get("age", "").strip()
    return max(0, int(found[1]) - (int(age) if re.fullmatch(r"[0-9]{1,9}", age) else 0))
