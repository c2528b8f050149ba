"""A scripted SMTP server: accepts, refuses, delays or hangs up where a test says so, and remembers every message.

It shares no code with the client. `script` is asked at each step (`mail`, `rcpt`, `data`, `dot`) with the recipient
(empty before RCPT) and answers None to accept, bytes to reply with, or DROP to close the connection: at `dot` before
anything is remembered; DROP_AFTER at `dot` remembers the message and closes without a reply.
"""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

DROP = b"drop"
DROP_AFTER = b"drop after"
Script = Callable[[str, str], bytes | None]


@dataclass
class Sink:
    """The server; use it as a context manager."""

    script: Script = lambda _step, _recipient: None
    extensions: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SIZE 10240000")
    delay: float = 0.0
    """Seconds before each reply to a dot."""
    messages: list[tuple[str, str, bytes]] = field(default_factory=list)
    """Sender, recipient, content as on the wire with dots unstuffed."""
    connections: int = 0
    commands: list[str] = field(default_factory=list)
    port: int = 0

    def __enter__(self) -> "Sink":
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()

        async def serve() -> None:
            self._server = await asyncio.start_server(self._client, "127.0.0.1", self.port, limit=2**22)
            self.port = self._server.sockets[0].getsockname()[1]
            started.set()

        def run() -> None:
            self._loop.run_until_complete(serve())
            self._loop.run_forever()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert started.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        async def stop() -> None:
            self._server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def recipients(self) -> list[str]:
        return [recipient for _, recipient, _ in self.messages]

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            await self._talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # noqa: C901  (a protocol read from top to bottom)
        writer.write(b"220 sink ESMTP\r\n")
        sender = recipient = ""
        while line := await reader.readline():
            command = line.decode().strip()
            self.commands.append(command)
            verb = command.upper()
            step = {"MAIL": "mail", "RCPT": "rcpt", "DATA": "data"}.get(verb[:4])
            if step == "mail":
                sender, recipient = command[command.index("<") + 1 : command.index(">")], ""
            if step == "rcpt" and sender:
                recipient = command[command.index("<") + 1 : command.index(">")]
            answer = self.script(step, recipient) if step else None
            if answer == DROP:
                return
            if verb.startswith("EHLO"):
                words = ["sink", *self.extensions]
                writer.write(b"".join(f"250{'-' if word != words[-1] else ' '}{word}\r\n".encode() for word in words))
            elif verb.startswith("QUIT"):
                writer.write(b"221 bye\r\n")
                return
            elif verb.startswith("RSET"):
                sender = recipient = ""
                writer.write(b"250 ok\r\n")
            elif answer is not None:
                if step == "mail":
                    sender = ""
                if step == "rcpt":
                    recipient = ""
                writer.write(answer + b"\r\n")
            elif step == "data" and not recipient:
                writer.write(b"503 no recipient\r\n")
            elif step == "data":
                writer.write(b"354 go on\r\n")
                if not await self._content(reader, writer, sender, recipient):
                    return
                sender = recipient = ""
            elif step:
                writer.write(b"250 ok\r\n")
            else:
                writer.write(b"500 what?\r\n")
            await writer.drain()

    async def _content(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sender: str, recipient: str
    ) -> bool:
        content = (await reader.readuntil(b"\r\n.\r\n"))[:-3].replace(b"\r\n..", b"\r\n.")
        content = content[1:] if content.startswith(b"..") else content
        answer = self.script("dot", recipient)
        if answer == DROP:
            return False
        if answer is None or answer == DROP_AFTER:
            self.messages.append((sender, recipient, content))
        if answer == DROP_AFTER:
            return False
        if self.delay:
            await asyncio.sleep(self.delay)
        writer.write((answer or b"250 2.0.0 queued as 1") + b"\r\n")
        return True
