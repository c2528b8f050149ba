"""A load generator: one form posted again and again over a few kept-open connections, from a process of its own.

`{}` in the form's bytes becomes a number, another one in each request. Any answer but the expected one ends it: a
server that refuses is always fast.
"""

import argparse
import asyncio
import json
import re
import time
from collections.abc import Iterator
from itertools import count
from typing import Final, cast

from newsletter.delivery.engine import loops
from newsletter.foundation.ports import LOOPBACK

_WARM_UP: Final = 0.5
"""Seconds that are not counted, in which connections, caches and prepared statements are made."""
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Visitor(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, requests: Iterator[bytes], status: bytes, failed: "asyncio.Future[None]") -> None:
        self._requests, self._status, self._failed = requests, status, failed
        self._buffer = b""
        self.answered = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = _LENGTH.search(head)
        if head[9:12] != self._status or length is None:
            self._fail(f"answered {head.splitlines()[0].decode(errors='replace')}")
        elif len(body) >= int(length[1]):
            self._buffer = b""
            self.answered += 1
            self._transport.write(next(self._requests))

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(str(exc or "closed the connection"))

    def _fail(self, what: str) -> None:
        if not self._failed.done():
            self._failed.set_exception(ConnectionError(f"the server {what}"))


def requests(host: str, path: str, form: str, first: int) -> Iterator[bytes]:
    """Give the bytes of one request after the other, with numbers from `first`."""
    for number in count(first):
        body = form.replace("{}", str(number)).encode()
        yield (
            f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAccept-Language: en\r\nUser-Agent: bench\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body


async def post(port: int, path: str, form: str, status: int, first: int, connections: int, seconds: float) -> float:
    """Post for `seconds` after a warm-up; return the answers per second. Raises ConnectionError."""
    loop = asyncio.get_running_loop()
    failed: asyncio.Future[None] = loop.create_future()
    source, visitors = requests(f"{LOOPBACK}:{port}", path, form, first), list[Visitor]()
    for _ in range(connections):
        _, visitor = await loop.create_connection(lambda: Visitor(source, b"%d" % status, failed), LOOPBACK, port)
        visitors.append(visitor)
    await asyncio.wait([failed], timeout=_WARM_UP)
    begun, before = time.perf_counter(), sum(visitor.answered for visitor in visitors)
    await asyncio.wait([failed], timeout=seconds)
    if failed.done():
        await failed
    return (sum(visitor.answered for visitor in visitors) - before) / (time.perf_counter() - begun)


def main() -> None:
    """Post as ordered, and print the answers per second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("order", type=json.loads, help="the arguments of post(), as JSON")
    print(loops.new_event_loop().run_until_complete(post(**parser.parse_args().order)))


if __name__ == "__main__":
    main()
