"""The pace at which messages leave a worker process through one relay, and so how many are begun at a time."""

from typing import Final

from newsletter.delivery.ledger import GROUP, IN_DOUBT
from newsletter.foundation.clock import monotonic

_AHEAD: Final = 0.25
"""Seconds of traffic that a group holds."""
_REFILL: Final = 0.12
"""Seconds of traffic that wait when the next group is begun; with both, none waits for too long."""
_LOOK: Final = 0.1
"""Seconds over which the pace is measured, at least."""
_TO_BEGIN_WITH: Final = 4
"""Messages for each connection, while the pace is not known."""


class Pace:
    """A mean in which the last second counts for most."""

    def __init__(self) -> None:
        self.in_doubt = IN_DOUBT
        """Messages that may be begun and not yet told."""
        self.finished = 0
        """Messages that have left, or will not: counted by whoever sees them do."""
        self._per_second = 0.0
        self._then = (monotonic(), 0)

    def restart(self) -> None:
        """Measure anew after a rest."""
        self._then = (monotonic(), self.finished)

    def measure(self) -> None:
        """Look how many have finished since the last look."""
        then, before = self._then
        now = monotonic()
        if now - then >= _LOOK:
            rate = (self.finished - before) / (now - then)
            self._per_second = (self._per_second + rate) / 2 if self._per_second else rate
            self._then = (now, self.finished)

    @property
    def ahead(self) -> int:
        """How many leave in the time for which a group is made."""
        return int(self._per_second * _AHEAD)

    @property
    def refill(self) -> int:
        """How many may still wait when the next group is begun."""
        return int(self._per_second * _REFILL)

    def group(self, connections: int) -> int:
        """Return how many to begin at a time."""
        expected = self.ahead if self._per_second else _TO_BEGIN_WITH * connections
        return max(1, connections, min(GROUP, self.in_doubt // 2, expected))
