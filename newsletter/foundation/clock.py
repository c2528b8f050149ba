"""The one place that reads the clock. Everything right of an entry point takes `now` as an argument."""

import datetime
import time


def utc_now() -> datetime.datetime:
    """Return the current instant, aware, in UTC."""
    return datetime.datetime.now(datetime.UTC)  # noqa: TID251  (this is the module that owns it)


monotonic = time.monotonic
"""Seconds on a clock that never jumps; for durations only."""
