"""The outbox: drafts between the ledger and the wire. They are made and signed here, and handed out in turn."""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Final

from newsletter.delivery.drafts import Draft
from newsletter.delivery.replies import Outcome, Verdict
from newsletter.delivery.signers import Signers
from newsletter.foundation.clock import monotonic

log = logging.getLogger(__name__)
_AT_ONCE: Final = 4
"""Messages made in a row: with more, connections wait; each alone between two writes would cost more."""
_A_FEW: Final = 16
"""Messages that are signed in a row."""
UNSENT: Final = Outcome(Verdict.UNSENT)
"""What became of one that never left: it is planned again."""


class Outbox:
    """Drafts that wait for a connection."""

    def __init__(self, signers: Signers, fails: Callable[[Draft, Outcome], object], more: Callable[[], object]) -> None:
        """`fails` is told of each that does not leave from here, and why; `more` is called when some were signed."""
        self._signers, self._fails, self._more = signers, fails, more
        self._waiting: deque[Draft] = deque()
        self._in_lane: Counter[str] = Counter()
        self.signing = 0
        """Drafts in the signers' hands."""

    def __len__(self) -> int:
        return len(self._waiting) + self.signing

    def put(self, drafts: Sequence[Draft], *, sign: bool) -> None:
        """Add drafts that were just begun."""
        if sign:
            self._have_signed(drafts)
        else:
            self._waiting.extend(drafts)
            self._write_ahead(iter(drafts))

    def put_back(self, draft: Draft) -> None:
        """Add one again whose connection was lost before its dot."""
        self._waiting.append(draft)

    def take(self) -> Draft | None:
        """Return the next whose mail host takes another now, its message made."""
        waiting, passed_over = self._waiting, 0
        while len(waiting) > passed_over:
            draft = waiting.popleft()
            if draft.lane is not None and self._in_lane[draft.lane[0]] >= draft.lane[1]:
                waiting.append(draft)
                passed_over += 1
                continue
            if monotonic() > draft.until:
                self._take_back(draft)
            self._write(draft)
            if draft.failed is not None:
                continue
            if draft.lane is not None:
                self._in_lane[draft.lane[0]] += 1
            return draft
        return None

    def answered(self, draft: Draft) -> bool:
        """Note that one is off the wire. Returns whether its mail host takes another instead."""
        if draft.lane is None:
            return False
        self._in_lane[draft.lane[0]] -= 1
        return True

    def flush(self) -> None:
        """Take back what has not been taken."""
        while self._waiting:
            self._take_back(self._waiting.popleft())

    def _take_back(self, draft: Draft) -> None:
        if draft.failed is None:
            draft.failed = UNSENT  # so that nobody makes its message any more
            self._fails(draft, UNSENT)

    def _write_ahead(self, drafts: Iterator[Draft]) -> None:
        """Make messages before a connection asks for them, a few between two looks at the wire."""
        some = list(islice(drafts, _AT_ONCE))
        for draft in some:
            self._write(draft)
        if some:
            asyncio.get_running_loop().call_soon(self._write_ahead, drafts)

    def _write(self, draft: Draft) -> None:
        if not draft.pieces and draft.failed is None:
            draft.write()
            self._tell_if_failed(draft)

    def _tell_if_failed(self, draft: Draft) -> None:
        if draft.failed is not None:
            self._fails(draft, draft.failed)

    def _have_signed(self, drafts: Sequence[Draft]) -> None:
        """Make messages, and let others sign them: that costs more than all else, and can be done beside it."""
        self.signing += len(drafts)
        loop = asyncio.get_running_loop()
        for first in range(0, len(drafts), _A_FEW):
            some = drafts[first : first + _A_FEW]
            for draft in some:
                draft.write()
            asyncio.wrap_future(self._signers.sign(some), loop=loop).add_done_callback(partial(self._signed, some))

    def _signed(self, drafts: Sequence[Draft], done: "asyncio.Future[None]") -> None:
        self.signing -= len(drafts)
        if error := done.exception():
            log.error("messages could not be signed", exc_info=error)
            for draft in drafts:
                draft.fault()
        self._waiting.extend([draft for draft in drafts if draft.failed is None])
        for draft in drafts:
            self._tell_if_failed(draft)
        self._more()
