"""Signing beside all else: a signature takes longer than everything else that is done for a message.

It is made in child processes, one for each processor. Threads would make as many, but take the interpreter from the
loop and wait for it at each signature: so it is done once for some messages (docs/adr/0021).
"""

import logging
import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from newsletter.delivery.drafts import Draft
from newsletter.foundation.children import Child
from newsletter.mail.dkim import SigningKey

log = logging.getLogger(__name__)
_WORTH_IT: Final = 4
"""Messages from which on a child is asked; a few confirmations are signed here, and need none."""


class Signers:
    """Signs drafts, some at a time. Children are begun when first needed, and end with this process."""

    def __init__(self) -> None:
        size = max(2, os.cpu_count() or 1)
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="signers")
        self._own = threading.local()
        self._children: list[Child] = []

    def sign(self, drafts: Sequence[Draft]) -> "Future[None]":
        """Put their signatures in front of those that are to be signed; what fails is noted in the draft."""
        return self._threads.submit(self._sign, drafts)

    def close(self) -> None:
        """Finish, and end the children."""
        self._threads.shutdown()
        for child in self._children:
            child.end()

    def _sign(self, drafts: Sequence[Draft]) -> None:
        wanted = [one for draft in drafts if draft.unsigned is not None for one in draft.unsigned.wanted]
        made = self._ask(wanted) if len(wanted) >= _WORTH_IT else None
        signatures = iter(made or [key.sign(digest) for key, digest in wanted])
        for draft in drafts:
            draft.sign(signatures)

    def _ask(self, wanted: Sequence[tuple[SigningKey, bytes]]) -> list[bytes] | None:
        """Have this thread's child sign; None where it has ended."""
        known: dict[tuple[SigningKey, bytes], bytes] = {}
        for key in dict.fromkeys(key for key, _ in wanted):
            digests = [digest for its, digest in wanted if its is key]
            answer = self._child().ask(key.der(), b"".join(digests))
            if answer is None:
                log.warning("a process that signs has ended")
                return None
            size = len(answer) // len(digests)
            known |= {(key, digest): answer[at * size : (at + 1) * size] for at, digest in enumerate(digests)}
        return [known[one] for one in wanted]

    def _child(self) -> Child:
        child: Child | None = getattr(self._own, "child", None)
        if child is None or not child.is_usable():
            if child is not None:
                child.end()
                self._children.remove(child)
            child = self._own.child = Child("newsletter.delivery.signing_process")
            self._children.append(child)
        return child
