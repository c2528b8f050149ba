"""Fetching sources."""

from newsletter.foundation.clock import utc_now
from newsletter.foundation.queue import queue
from newsletter.tasks import ringing


@queue.task(name=ringing.FETCH)
def fetch_due() -> None:
    """Fetch the sources whose time has come, several at once."""
    utc_now()
