"""A draft: a delivery that the ledger has begun, from then until its reply is read."""

import logging
from typing import Final

from newsletter.delivery.composing import Compose
from newsletter.delivery.ledger import Lease
from newsletter.delivery.replies import Failure, Outcome, Verdict
from newsletter.delivery.smtp import Job
from newsletter.foundation.errors import RenderError

log = logging.getLogger(__name__)
_OUR_FAULT: Final = Outcome(
    Verdict.UNSENDABLE, None, "The program failed to make this message; its log says more.", Failure.BUG
)


class Draft(Job):
    """A message on its way: begun in the ledger, not made yet or on the wire.

    `lane`: its group of mail hosts and how many for it may be on the wire at a time, where that is limited.
    """

    __slots__ = ("domain", "lane", "lease", "make", "tries")

    def __init__(
        self, key: int, make: Compose, domain: str, lease: Lease, until: float, lane: tuple[str, int] | None
    ) -> None:
        super().__init__(key, "", "", b"", until=until)
        self.make, self.domain, self.lease, self.lane, self.tries = make, domain, lease, lane, 1

    def write(self) -> None:
        """Make its message, or note why there can be none."""
        try:
            self.sender, self.recipient, self.utf8, self.content = self.make()
        except RenderError as error:
            self.failed = Outcome(Verdict.UNSENDABLE, None, str(error))
        except Exception:  # a fault of ours stops nobody else's mail; it can be resent when it is mended
            log.exception("a message could not be made", extra={"delivery": self.id})
            self.failed = _OUR_FAULT
