"""A scripted SMTP server: accepts, refuses, delays or hangs up where a test says so, and remembers every message.

It shares no code with the client. `script` is asked at each step (`connect`, `mail`, `rcpt`, `data`, `dot`) with the
recipient (empty before RCPT) and answers None to accept, bytes to reply with, or DROP to close the connection: at `dot`
before anything is remembered; DROP_AFTER at `dot` remembers the message and closes without a reply. After a 421 of its
own the server closes, as it says (RFC 5321 section 3.8).
"""

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, cast

DROP: Final = b"drop"
DROP_AFTER: Final = b"drop after"
Script = Callable[[str, str], bytes | None]
_STEPS: Final = {b"MAIL": "mail", b"RCPT": "rcpt", b"DATA": "data"}
_END: Final = b"\r\n.\r\n"


@dataclass
class Sink:
    """The server; use it as a context manager, or `listen` in an event loop of your own."""

    script: Script = lambda _step, _recipient: None
    extensions: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SIZE 10240000")
    delay: float = 0.0
    """Seconds before each reply to a dot."""
    delays: Mapping[str, float] = field(default_factory=dict)
    """Seconds before the reply at other steps."""
    bytes_per_second: int = 0
    """How slowly it reads from each connection; 0: as fast as it comes."""
    messages: list[tuple[str, str, bytes]] = field(default_factory=list)
    """Sender, recipient, content as on the wire with dots unstuffed."""
    connections: int = 0
    commands: list[str] = field(default_factory=list)
    port: int = 0

    def __enter__(self) -> "Sink":
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self.listen())
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def listen(self) -> None:
        """Take connections in the running event loop."""
        self._open: set[_Conversation] = set()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Conversation(self), "127.0.0.1", self.port, backlog=200)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        for conversation in list(self._open):
            conversation.hang_up()
        await asyncio.sleep(0)  # connections that end are told so in the next turn

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def recipients(self) -> list[str]:
        return [recipient for _, recipient, _ in self.messages]

    def heard(self, command: str) -> None:
        """Remember a command."""
        self.commands.append(command)

    def took(self, sender: str, recipient: str, content: bytes) -> None:
        """Remember a message."""
        self.messages.append((sender, recipient, content))


class _Conversation(asyncio.Protocol):
    """One client. What arrives is answered in order; while a reply is delayed nothing more is looked at."""

    _transport: asyncio.Transport

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = bytearray()
        self._searched = 0
        self._in_content = self._held = self._over = False
        self._sender = self._recipient = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._sink.connections += 1
        self._sink._open.add(self)
        self._answer("connect", b"220 sink ESMTP")

    def connection_lost(self, exc: Exception | None) -> None:
        self._over = True
        self._sink._open.discard(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._sink.bytes_per_second:
            self._transport.pause_reading()
            pause = len(data) / self._sink.bytes_per_second
            asyncio.get_running_loop().call_later(pause, self._read_on)
        self._go_on()

    def _read_on(self) -> None:
        if not self._over:
            self._transport.resume_reading()

    def hang_up(self) -> None:
        self._over = True
        self._transport.close()

    def _go_on(self) -> None:
        while not self._held and not self._over:
            if self._in_content:
                if not self._content():
                    return
            else:
                end = self._buffer.find(b"\r\n")
                if end < 0:
                    return
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 2]
                self._command(line)

    def _command(self, line: bytes) -> None:
        self._sink.heard(line.decode(errors="replace").strip())
        verb = line[:4].upper()
        step = _STEPS.get(verb, "")
        if verb == b"EHLO":
            words = ["sink", *self._sink.extensions]
            self._reply(b"\r\n".join(b"250" + (b" " if w == words[-1] else b"-") + w.encode() for w in words))
        elif verb == b"QUIT":
            self._reply(b"221 bye")
            self.hang_up()
        elif verb == b"RSET":
            self._sender = self._recipient = ""
            self._reply(b"250 ok")
        elif step == "mail":
            self._sender, self._recipient = _address(line), ""
            if not self._answer(step, b"250 ok"):
                self._sender = ""
        elif step == "rcpt":
            self._recipient = _address(line) if self._sender else ""
            if not self._answer(step, b"250 ok"):
                self._recipient = ""
        elif step == "data" and not self._recipient:
            self._reply(b"503 no recipient")
        elif step == "data":
            self._in_content = self._answer(step, b"354 go on")
        else:
            self._reply(b"500 what?")

    def _content(self) -> bool:
        """Take the content if all of it is there."""
        if self._buffer.startswith(b".\r\n"):
            content, end = b"", 3
        else:
            found = self._buffer.find(_END, max(self._searched - len(_END), 0))
            if found < 0:
                self._searched = len(self._buffer)
                return False
            content, end = bytes(self._buffer[: found + 2]).replace(b"\r\n..", b"\r\n."), found + len(_END)
        del self._buffer[:end]
        self._searched, self._in_content = 0, False
        content = content[1:] if content.startswith(b"..") else content
        sender, recipient, self._sender, self._recipient = self._sender, self._recipient, "", ""
        answer = self._sink.script("dot", recipient)
        if answer is None or answer == DROP_AFTER:
            self._sink.took(sender, recipient, content)
        self._give("dot", answer, b"250 2.0.0 queued as 1")
        return True

    def _answer(self, step: str, usual: bytes) -> bool:
        """Reply as the script says; return whether it lets the client go on."""
        answer = self._sink.script(step, self._recipient)
        self._give(step, answer, usual)
        return answer is None

    def _give(self, step: str, answer: bytes | None, usual: bytes) -> None:
        if answer in (DROP, DROP_AFTER):
            self.hang_up()
            return
        delay = self._sink.delay if step == "dot" else self._sink.delays.get(step, 0.0)
        if delay:
            self._held = True
            asyncio.get_running_loop().call_later(delay, self._late, answer or usual)
        else:
            self._reply(answer or usual)

    def _late(self, reply: bytes) -> None:
        self._held = False
        if not self._over:
            self._reply(reply)
            self._go_on()

    def _reply(self, reply: bytes) -> None:
        self._transport.write(reply + b"\r\n")
        if reply.startswith(b"421"):
            self.hang_up()


def _address(line: bytes) -> str:
    """Return what stands between angle brackets."""
    return line[line.index(b"<") + 1 : line.index(b">")].decode()
