"""The opening conversation with a relay: connect, greeting, EHLO or HELO, TLS, AUTH (RFC 5321, 3207, 4954).

Awaited step by step and once a connection. It gives up at the first word that it cannot trust, and says in plain words
why; what travels afterwards is not its business.
"""

import asyncio
import base64
import contextlib
import ipaddress
import re
import socket
import ssl
from dataclasses import dataclass
from typing import Final, cast

from newsletter.delivery.endpoints import Endpoint, is_loopback
from newsletter.delivery.models import Tls
from newsletter.delivery.replies import Outcome, Phase, judge, lost

CONNECT_TIMEOUT: Final = 15.0
"""Seconds for each of the relay's addresses."""
GREETING_TIMEOUT: Final = 60.0
"""RFC 5321 section 4.5.3.2.1 would wait five minutes: too long for operators to hear that their relay hangs."""
COMMAND_TIMEOUT: Final = 60.0
"""For a whole reply, however many lines it has."""
TLS_TIMEOUT: Final = 30.0

_ADDRESSES: Final = 4
"""Of the relay's name, tried one after the other."""
_LONGEST_LINE: Final = 4096
"""RFC 5321 section 4.5.3.1.5 says 512."""
_MOST_LINES: Final = 200
_LONGEST_COMMAND: Final = 510
_LABEL: Final = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
_NAME: Final = re.compile(rf"(?=.{{1,255}}$){_LABEL}(\.{_LABEL})*")
_LITERAL: Final = re.compile(r"\[[A-Za-z0-9:.]{2,60}\]")


class RelayError(Exception):
    """The relay cannot be used now; `outcome` says how far we came."""

    def __init__(self, phase: Phase, outcome: Outcome) -> None:
        super().__init__(outcome.text)
        self.phase = phase
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection that is ready for MAIL, and the extensions it offers: keyword in capitals to parameters."""

    transport: asyncio.Transport
    extensions: dict[str, str]


async def open_relay(relay: Endpoint, successor: asyncio.Protocol) -> Opened:
    """Open a connection and hand it to `successor`, which hears all that the relay says from now on.

    Raises RelayError.
    """
    conversation = await _connect(relay)
    try:
        await conversation.greeted()
        await conversation.hello(relay)
        await conversation.secure(relay)
        await conversation.authenticate(relay)
        return conversation.hand_over(successor)
    except BaseException:
        conversation.abort()
        raise


async def _connect(relay: Endpoint) -> "Conversation":
    loop = asyncio.get_running_loop()
    context = _context(relay) if relay.tls is Tls.IMPLICIT else None
    phase, why = Phase.CONNECT, "its name has no address"
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            found = await loop.getaddrinfo(relay.host, relay.port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError) as error:
        found, why = [], _words(error)
    for *_, address in found[:_ADDRESSES]:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                _, conversation = await loop.create_connection(
                    Conversation,
                    str(address[0]),
                    relay.port,
                    ssl=context,
                    server_hostname=relay.host if context else None,
                )
        except ssl.SSLError as error:
            phase, why = Phase.TLS, _words(error)
        except (OSError, TimeoutError) as error:
            phase, why = Phase.CONNECT, _words(error)
        else:
            return conversation
    where = f"[{relay.host}]:{relay.port}" if ":" in relay.host else f"{relay.host}:{relay.port}"
    said = f"TLS with {where} failed" if phase is Phase.TLS else f"cannot connect to {where}"
    raise RelayError(phase, lost(phase, f"{said}: {why}"))


def _context(relay: Endpoint) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if relay.tls is Tls.OPPORTUNISTIC:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _words(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return str(error) or "no answer"


class Conversation(asyncio.Protocol):
    """One connection until it is ready for MAIL."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._lines: list[bytes] = []
        self._replies: asyncio.Queue[tuple[int, str]] = asyncio.Queue()
        """The greeting may come before anybody asks for it."""
        self._gone = ""
        """Why nothing more will come."""
        self._secure = False
        self.extensions: dict[str, str] = {}

    # -- the steps

    async def greeted(self) -> None:
        """Await the greeting."""
        self._secure = self._wire.get_extra_info("ssl_object") is not None
        await self._hear(Phase.GREETING, 220, GREETING_TIMEOUT)

    async def hello(self, relay: Endpoint) -> None:
        """Introduce ourselves, in the old way to who does not know the new one."""
        name = self._hello_name(relay)
        try:
            text = await self._ask(Phase.HELLO, b"EHLO " + name, 250)
        except RelayError as error:
            if (error.outcome.code or 0) < 500:
                raise
            await self._ask(Phase.HELLO, b"HELO " + name, 250)
            text = ""
        self.extensions = {}
        for line in text.splitlines()[1:]:
            keyword, _, rest = line.replace("AUTH=", "AUTH ", 1).partition(" ")
            both = (self.extensions.get(keyword.upper(), ""), rest.strip())
            self.extensions[keyword.upper()] = " ".join(filter(None, both))

    async def secure(self, relay: Endpoint) -> None:
        """Turn TLS on where the endpoint wants it. The relay's word before that counts for nothing afterwards."""
        if relay.tls is Tls.IMPLICIT or (relay.tls is Tls.OPPORTUNISTIC and "STARTTLS" not in self.extensions):
            return
        if "STARTTLS" not in self.extensions:
            raise self._failure(Phase.TLS, "the relay offers no STARTTLS, which its settings require")
        await self._ask(Phase.TLS, b"STARTTLS", 220)
        if self._buffer or self._lines or not self._replies.empty():
            raise self._failure(Phase.TLS, "somebody put words into the relay's mouth before TLS began")
        try:
            transport = await asyncio.get_running_loop().start_tls(
                self._wire, self, _context(relay), server_hostname=relay.host, ssl_handshake_timeout=TLS_TIMEOUT
            )
        except (OSError, TimeoutError) as error:
            raise self._failure(Phase.TLS, f"TLS with the relay failed: {_words(error)}") from None
        self._transport = cast("asyncio.Transport", transport)
        self._secure = True
        await self.hello(relay)

    async def authenticate(self, relay: Endpoint) -> None:
        """Log in, if the endpoint has a user; never in clear over a network unless it says so."""
        if not relay.username:
            return
        here = is_loopback(str(self._wire.get_extra_info("peername")[0]))
        if not (self._secure or relay.clear_password or here):
            raise self._failure(Phase.AUTH, "the connection is not encrypted, so the password was not sent")
        user, password = (text.encode("utf-8", "surrogateescape") for text in (relay.username, relay.password))
        offered = self.extensions.get("AUTH", "").upper().split()
        plain = base64.b64encode(b"\0" + user + b"\0" + password)
        try:
            if "PLAIN" in offered and b"\0" not in user + password:
                command = b"AUTH PLAIN " + plain
                if len(command) > _LONGEST_COMMAND:  # RFC 4954 section 4: then without an initial response
                    await self._ask(Phase.AUTH, b"AUTH PLAIN", 334)
                    command = plain
                await self._ask(Phase.AUTH, command, 235)
            elif "LOGIN" in offered:
                await self._ask(Phase.AUTH, b"AUTH LOGIN", 334)
                await self._ask(Phase.AUTH, base64.b64encode(user), 334)
                await self._ask(Phase.AUTH, base64.b64encode(password), 235)
            else:
                raise self._failure(Phase.AUTH, "the relay offers neither AUTH PLAIN nor AUTH LOGIN")
        except RelayError as error:
            secrets = (plain, base64.b64encode(password), password)
            raise RelayError(Phase.AUTH, _without(error.outcome, secrets)) from None

    def hand_over(self, successor: asyncio.Protocol) -> Opened:
        """Let `successor` listen from now on. Raises RelayError if the relay has gone, or said more than was asked."""
        if self._gone or self._buffer or self._lines or not self._replies.empty():
            raise self._failure(Phase.HELLO, self._gone or "the relay spoke out of turn")
        self._wire.set_protocol(successor)
        return Opened(self._wire, self.extensions)

    def abort(self) -> None:
        """Hang up without a word."""
        if self._transport is not None:
            self._transport.abort()

    # -- asking and hearing

    @property
    def _wire(self) -> asyncio.Transport:
        assert self._transport is not None
        return self._transport

    async def _ask(self, phase: Phase, line: bytes, ok: int) -> str:
        self._wire.write(line + b"\r\n")
        return await self._hear(phase, ok, COMMAND_TIMEOUT)

    async def _hear(self, phase: Phase, ok: int, seconds: float) -> str:
        try:
            async with asyncio.timeout(seconds):
                code, text = await self._replies.get()
        except TimeoutError:
            raise self._failure(phase, "the relay did not answer in time") from None
        if not code:
            raise self._failure(phase, text)
        if code != ok:
            raise RelayError(phase, judge(phase, code, text))
        return text

    def _failure(self, phase: Phase, why: str) -> RelayError:
        return RelayError(phase, lost(phase, why))

    def _hello_name(self, relay: Endpoint) -> bytes:
        """Return the name of our host, or where it has none its address (RFC 5321 section 4.1.3)."""
        with contextlib.suppress(UnicodeError):
            name = relay.hello if _LITERAL.fullmatch(relay.hello) else relay.hello.encode("idna").decode()
            if _NAME.fullmatch(name) or _LITERAL.fullmatch(name):
                return name.encode()
        address = ipaddress.ip_address(str(self._wire.get_extra_info("sockname")[0]).partition("%")[0])
        return f"[{'IPv6:' if address.version == 6 else ''}{address}]".encode()

    # -- what the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass
        sock = transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        if self._gone:
            return
        *lines, self._buffer = (self._buffer + data).split(b"\r\n")
        if len(self._buffer) > _LONGEST_LINE or len(self._lines) + len(lines) > _MOST_LINES:
            self._end("the relay's reply has no end")
            return
        for line in (*lines, self._buffer):
            if b"\n" in line:  # RFC 5321 section 2.3.8: no line end but CRLF
                self._end("the relay ends its lines with a bare line feed")
                return
        for line in lines:
            self._on_line(line)

    def _on_line(self, line: bytes) -> None:
        if not line[:3].isdigit() or len(line) < 3 or line[3:4] not in (b"", b" ", b"-"):
            self._end("the relay does not speak SMTP")
            return
        self._lines.append(line[4:])
        if line[3:4] != b"-":
            text = b"\n".join(self._lines).decode("utf-8", "replace")
            self._lines = []
            self._replies.put_nowait((int(line[:3]), text))

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(str(exc) if exc else "the relay closed the connection")

    def _end(self, why: str) -> None:
        if not self._gone:
            self._gone = why
            self._replies.put_nowait((0, why))
            self.abort()


def _without(outcome: Outcome, secrets: tuple[bytes, ...]) -> Outcome:
    """Return the outcome without words that hold a secret or a part of one: some servers repeat what they were told."""
    hidden = [secret.decode("utf-8", "replace") for secret in secrets if secret]
    words = (
        "…" if any(secret in word or (len(word) >= 6 and word in secret) for secret in hidden) else word
        for word in outcome.text.split(" ")
    )
    return Outcome(outcome.verdict, outcome.code, " ".join(words), outcome.failure)
