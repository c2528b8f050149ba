"""The limit: how fast one Python process can push mail that costs nothing to make and that nobody accounts for.

A fixed message, pipelined over a few connections (RFC 2920): the envelope of the next travels with the end of the last,
so that each costs one round trip. What the sending engine does beyond that is the price of its promises.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Iterator
from functools import partial
from itertools import chain, cycle
from typing import Final, cast

from newsletter.delivery.engine import loops
from newsletter.foundation.ports import LOOPBACK

_OPENING: Final = (("greeting", b"220"), ("hello", b"250"))
_MESSAGE: Final = (("mail", b"250"), ("rcpt", b"250"), ("data", b"354"), ("dot", b"250"))


class Pusher(asyncio.Protocol):
    """One connection. `done` is resolved when its share of the work is."""

    def __init__(self, numbers: Iterator[int], body: bytes, done: "asyncio.Future[int]") -> None:
        self._numbers, self._body, self._done = numbers, body, done
        self._number: int | None = None
        self._accepted = 0
        self._partial = b""
        self._awaited = chain(_OPENING, cycle(_MESSAGE))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        *lines, self._partial = (self._partial + data).split(b"\r\n")
        for line in lines:
            if line[3:4] == b" ":
                self._answered(line[:3])

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(exc or ConnectionError("the sink closed the connection"))

    def _answered(self, code: bytes) -> None:
        step, expected = next(self._awaited)
        if code != expected:
            raise ConnectionError(f"{code!r} to {step}")
        if step == "greeting":
            self._transport.write(b"EHLO limit.example\r\n")
        elif step == "hello":
            self._transport.write(self._envelope())
            self._end_if_empty()
        elif step == "data":
            head = b"From: <a@limit.example>\r\nTo: <r%d@limit.example>\r\n\r\n" % (self._number or 0)
            self._transport.write(head + self._body + b".\r\n" + self._envelope())
        elif step == "dot":
            self._accepted += 1
            self._end_if_empty()

    def _envelope(self) -> bytes:
        self._number = next(self._numbers, None)
        if self._number is None:
            return b""
        return b"MAIL FROM:<a@limit.example>\r\nRCPT TO:<r%d@limit.example>\r\nDATA\r\n" % self._number

    def _end_if_empty(self) -> None:
        if self._number is None:
            self._done.set_result(self._accepted)
            self._transport.close()


async def push(port: int, count: int, connections: int, size: int) -> int:
    """Push `count` messages of `size` bytes; return how many were accepted."""
    body = (b"0123456789" * 7 + b"\r\n") * (size // 72)
    numbers, loop = iter(range(count)), asyncio.get_running_loop()
    ends = [loop.create_future() for _ in range(connections)]
    for end in ends:
        await loop.create_connection(partial(Pusher, numbers, body, end), LOOPBACK, port)
    return sum(await asyncio.gather(*ends))


def main() -> None:
    """Push, and print what it took as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("port", "count", "connections", "size"):
        parser.add_argument(name, type=int)
    given = parser.parse_args()
    loop, begun, used = loops.new_event_loop(), time.perf_counter(), time.process_time()
    accepted = loop.run_until_complete(push(given.port, given.count, given.connections, given.size))
    took = {"accepted": accepted, "seconds": time.perf_counter() - begun, "cpu": time.process_time() - used}
    print(json.dumps(took))


if __name__ == "__main__":
    main()
