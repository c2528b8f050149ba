"""How many sign-ups one network may send in a while, counted in this process's memory.

A coarse brake on floods and nothing more: what an address gets is capped in the database (audience/caps.py). No address
is stored anywhere for it, several processes count for themselves, and a restart forgets. Leaving is never counted.
"""

import datetime
from collections import OrderedDict, deque
from typing import Final

from flask import current_app, request

from newsletter.audience.consent import truncated

WINDOW: Final = datetime.timedelta(minutes=10)
LIMIT: Final = 60
_NETWORKS: Final = 20_000
"""More are not remembered at a time: the longest silent is forgotten."""
_KEY: Final = "newsletter.pace"


class Pace:
    """Counts by network within a sliding window."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, deque[datetime.datetime]] = OrderedDict()

    def allows(self, network: str, now: datetime.datetime) -> bool:
        """Count one more from `network`, unless it had its share; say which."""
        times = self._seen.setdefault(network, deque())
        self._seen.move_to_end(network)
        while times and times[0] <= now - WINDOW:
            times.popleft()
        if len(times) >= LIMIT:
            return False
        times.append(now)
        if len(self._seen) > _NETWORKS:
            self._seen.popitem(last=False)
        return True


def admits(now: datetime.datetime) -> bool:
    """Say whether the network that this request comes from may sign up one more.

    What comes from this machine itself is a proxy that the settings do not name, or a program of the operator's:
    counting that as one visitor would lock everybody out.
    """
    ip = request.remote_addr or ""
    network = truncated(ip)
    if not network or network in ("127.0.0.0", "::"):
        return True
    pace = current_app.extensions.setdefault(_KEY, Pace())
    assert isinstance(pace, Pace)
    return pace.allows(network, now)
