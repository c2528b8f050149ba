"""A draft: a delivery that the ledger has begun, from then until its reply is read."""

import logging
from collections.abc import Iterator
from typing import Final

from newsletter.delivery.composing import Compose
from newsletter.delivery.leases import Lease
from newsletter.delivery.replies import Failure, Outcome, Verdict
from newsletter.delivery.smtp import Job
from newsletter.foundation.errors import RenderError
from newsletter.mail.dkim import Unsigned

log = logging.getLogger(__name__)
_OUR_FAULT: Final = Outcome(
    Verdict.UNSENDABLE, None, "The program failed to make this message; its log says more.", Failure.BUG
)


class Draft(Job):
    """A message on its way: begun in the ledger, not made yet or on the wire.

    `lane`: its group of mail hosts and how many for it may be on the wire at a time, where that is limited.
    """

    __slots__ = ("domain", "lane", "lease", "make", "tries", "unsigned")

    def __init__(
        self, key: int, make: Compose, domain: str, lease: Lease, until: float, lane: tuple[str, int] | None
    ) -> None:
        super().__init__(key, "", "", (), until=until)
        self.unsigned: Unsigned | None = None
        self.make, self.domain, self.lease, self.lane, self.tries = make, domain, lease, lane, 1

    def write(self) -> None:
        """Make its message but for the signature, or note why there can be none."""
        try:
            self.sender, self.recipient, self.utf8, self.pieces, self.unsigned = self.make()
        except RenderError as error:
            self.failed = Outcome(Verdict.UNSENDABLE, None, str(error))
        except Exception:
            log.exception("a message could not be made", extra={"delivery": self.id})
            self.fault()

    def sign(self, signatures: Iterator[bytes]) -> None:
        """Put its signature in front, if there is to be one: the next of `signatures`."""
        if self.unsigned is not None:
            self.pieces, self.unsigned = (self.unsigned.signed(signatures), *self.pieces), None

    def fault(self) -> None:
        """Note that the fault is ours: it stops nobody else's mail, and can be resent when it is mended."""
        self.failed = _OUR_FAULT
