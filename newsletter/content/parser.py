"""Read documents that strangers wrote without letting them crash, hang or grow this process.

A few child processes do the work and are replaced when they die, hang or have served long enough. A request is a frame
of JSON (what to do) and a frame of bytes (the document); the answer is a frame of JSON.
"""

import atexit
import functools
import json
import queue
import signal
import threading
from types import TracebackType
from typing import Any, Final, Self

from newsletter.content.parsed import CPU_SECONDS, Candidate, ParsedFeed, WebPageError, from_json
from newsletter.foundation.children import Child
from newsletter.foundation.errors import ParseError

MAX_DOCUMENT: Final = 5_000_000
SERVES: Final = 200
"""Documents after which a child is replaced."""
WAIT_SECONDS: Final = 30.0
"""For one answer. Beyond the limit on CPU time, which ends what computes, for a machine that is busy."""

_TOO_SLOW: Final = f"Reading the document took longer than {CPU_SECONDS} s; it was given up."
_BROKEN: Final = "The document breaks the parser; it was given up."


class Parser:
    """Parse in at most `size` child processes. Safe to share between threads; close it, or use it in a `with`."""

    def __init__(self, size: int = 2, wait_seconds: float = WAIT_SECONDS) -> None:
        self._wait_seconds = wait_seconds
        self._slots: queue.LifoQueue[_Child | None] = queue.LifoQueue()
        self._size = size
        for _ in range(size):
            self._slots.put(None)

    def parse(self, body: bytes, url: str = "", content_type: str | None = None) -> ParsedFeed:
        """Read the feed found at `url` (empty: at none). Raises ParseError with the reason in plain words."""
        reply = self._ask({"act": "parse", "url": url, "content_type": content_type}, body)
        return from_json(reply["feed"])

    def discover(
        self, body: bytes, url: str, content_type: str | None = None, link_header: str = ""
    ) -> list[Candidate]:
        """Return the feeds that the web page found at `url` names. Raises ParseError."""
        request = {"act": "discover", "url": url, "content_type": content_type, "link": link_header}
        return [Candidate(**found) for found in self._ask(request, body)["candidates"]]

    def close(self) -> None:
        """End the children, once each is free."""
        for _ in range(self._size):
            child = self._slots.get()
            if child is not None:
                child.end()
        for _ in range(self._size):
            self._slots.put(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, request: dict[str, Any], body: bytes) -> dict[str, Any]:
        if len(body) > MAX_DOCUMENT:
            raise ParseError(f"The document is larger than {MAX_DOCUMENT / 1_000_000:g} MB.")
        child, kept = self._slots.get(), None
        try:
            if child is not None and not child.is_usable():
                child.end()
                child = None
            child = child or _Child()
            reply = child.parse(request, body, self._wait_seconds)
            if child.served < SERVES and not reply.get("last"):
                child, kept = None, child
        finally:
            self._slots.put(kept)
            if child is not None:
                child.end()
        if "refused" in reply:
            raise (WebPageError if reply.get("page") else ParseError)(reply["refused"])
        return reply


class _Child(Child):
    """One parser process."""

    def __init__(self) -> None:
        super().__init__("newsletter.content.parser_process")
        self.served = 0

    def parse(self, request: dict[str, Any], body: bytes, wait_seconds: float) -> dict[str, Any]:
        """Send one document and wait for the answer. Raises ParseError when the child does not survive it."""
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self.process.kill()

        timer = threading.Timer(wait_seconds, give_up)
        timer.daemon = True
        timer.start()
        try:
            answer = self.ask(json.dumps(request).encode(), body)
        finally:
            timer.cancel()
        if late.is_set() or answer is None:
            slow = late.is_set() or self.process.wait() == -signal.SIGXCPU
            raise ParseError(_TOO_SLOW if slow else _BROKEN)
        self.served += 1
        reply: dict[str, Any] = json.loads(answer)
        return reply


@functools.cache
def shared_parser() -> Parser:
    """Return this program's parser; its children end with the program."""
    parser = Parser()
    atexit.register(parser.close)
    return parser


def parse(body: bytes, url: str = "", content_type: str | None = None) -> ParsedFeed:
    """Read the feed found at `url` with this program's parser. Raises ParseError."""
    return shared_parser().parse(body, url, content_type)
