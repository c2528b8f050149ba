"""What the ledger has not been told yet: outcomes, in memory and for whoever comes after us in the journal."""

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from newsletter.delivery.desk import Seen, Told
from newsletter.delivery.drafts import Draft
from newsletter.delivery.journal import Journal
from newsletter.delivery.leases import Lease
from newsletter.delivery.replies import Outcome, Verdict

log = logging.getLogger(__name__)
T = TypeVar("T")


class Untold:
    """Outcomes since the ledger was last told, and those that it is being told."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._new: dict[Lease, dict[int, Outcome]] = {}
        self._being_told: dict[Lease, dict[int, Outcome]] = {}
        """Told again as they are where telling failed: the journal's other side is theirs until then."""
        self._seen: list[tuple[str, Outcome]] = []

    def __bool__(self) -> bool:
        return bool(self._new or self._being_told)

    def keep(self, lease: Lease, delivery_id: int, outcome: Outcome) -> None:
        """Keep what became of a delivery whose dot was not written, or whose reply nobody will read."""
        self._new.setdefault(lease, {})[delivery_id] = outcome

    def answered(self, draft: Draft, outcome: Outcome) -> None:
        """Keep what a relay's reply, or the end of its connection, says of a delivery."""
        try:
            if outcome.verdict is not Verdict.UNSENT:  # it has no dot there: a line would outlive the next attempt's
                self.journal.told(draft.id, outcome)
        except OSError:  # we know it even so; only if we are killed before the ledger does, it is unknown
            log.warning("the journal cannot be written", exc_info=True)
        self.keep(draft.lease, draft.id, outcome)

    def see(self, domain: str, outcome: Outcome) -> None:
        """Keep what the limits may learn from."""
        self._seen.append((domain, outcome))

    async def tell(
        self, act: Callable[[Told, Seen], Awaitable[T]], dotted: Callable[[], Iterable[int]]
    ) -> tuple[T, Told]:
        """Have `act` tell the ledger all, and forget it then; returns its result and what was told.

        `dotted` names the deliveries whose replies are still waited for. An error of `act` passes; nothing is lost.
        """
        if not self._being_told and self._new:
            self.journal.turn()
            self._being_told, self._new = self._new, {}
        telling, seen, self._seen = self._being_told, self._seen, []
        result = await act(telling, seen)
        if telling:
            self._being_told = {}
            try:
                self.journal.forget(dotted())
            except OSError:  # it knows more than it must, and nothing less
                log.warning("the journal cannot be written", exc_info=True)
        return result, telling
