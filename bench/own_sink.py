"""A sink for machines without Postfix's, and for relays that are far away: answers as a pipelining server does, as late
as told, looks at nothing and keeps nothing."""

import asyncio
import sys
from typing import cast

from newsletter.delivery.engine import loops

_END = b"\r\n.\r\n"
_REPLIES = {
    b"EHLO": b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 100000000\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 bye\r\n",
}


class Connection(asyncio.Protocol):
    """One client: commands answered in order, content passed over up to its dot."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._rest = b""
        self._in_content = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._answer(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        pending, replies = self._rest + data, []
        while True:
            head, found, after = pending.partition(_END if self._in_content else b"\r\n")
            if not found:
                break
            if self._in_content:
                replies.append(b"250 taken\r\n")
                self._in_content = False
            else:
                verb = head[:4].upper()
                replies.append(_REPLIES.get(verb, b"250 ok\r\n"))
                self._in_content = verb == b"DATA"
                after = b"\r\n" + after if self._in_content else after  # the dot may be the first line
            pending = after
        # Of content only so much is kept as the beginning of its end may take.
        self._rest = pending[-len(_END) :] if self._in_content else pending
        if replies:
            self._answer(b"".join(replies))

    def _answer(self, replies: bytes) -> None:
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._transport.write, replies)
        else:
            self._transport.write(replies)


async def _serve(address: str, port: int, delay: float) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Connection(delay), address, port, backlog=100)
    await server.serve_forever()


if __name__ == "__main__":
    loops.new_event_loop().run_until_complete(_serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
