"""Trying a relay out: connect, greet, encrypt, sign in, go. No mail is sent; how far it came is told in plain words."""

import asyncio
import ssl
from dataclasses import dataclass
from typing import Final

from newsletter.delivery.endpoints import Endpoint
from newsletter.delivery.models import Tls
from newsletter.delivery.opening import Opened, RelayError, open_relay
from newsletter.delivery.replies import Outcome, Phase

_FAILED: Final = {
    Phase.CONNECT: "There is no way to {place}: {said}. Check host and port, and that a firewall lets us out.",
    Phase.GREETING: "{place} answers, but does not welcome us: {said}. Is it a mail server that knows our address?",
    Phase.HELLO: "{place} welcomes us, but refuses our name “{hello}”: {said}. Give the name that our address has.",
    Phase.TLS: "{place} answers, but encryption fails: {said}. Port 465 mostly wants TLS from the start, 587 STARTTLS.",
    Phase.AUTH: "{place} answers{safely}, but does not let “{user}” in: {said}. Check user name and password.",
}
PATIENCE: Final = 20.0
"""Seconds for the whole trial: somebody waits for it before a page."""
_FAREWELL: Final = 2.0
"""Seconds that the relay has for its goodbye."""


@dataclass(frozen=True)
class Trial:
    """How a trial went; `sentence` is for people."""

    works: bool
    reached: str
    """The last step that was tried: connect, greeting, hello, tls, auth; `ready` when all went well."""
    sentence: str
    offers: tuple[str, ...] = ()
    """The extensions that it offers, in capitals."""


def try_relay(endpoint: Endpoint) -> Trial:
    """Open a connection as sending would, and close it. Takes PATIENCE at most."""
    return asyncio.run(_try(endpoint))


async def _try(endpoint: Endpoint) -> Trial:
    closed = _Farewell()
    try:
        async with asyncio.timeout(PATIENCE):
            opened = await open_relay(endpoint, closed)
    except TimeoutError:
        sentence = f"{_place(endpoint)} kept us waiting for more than {PATIENCE:.0f} seconds, so we gave up."
        return Trial(works=False, reached=Phase.CONNECT.value, sentence=sentence)
    except RelayError as error:
        return Trial(works=False, reached=error.phase.value, sentence=_problem(endpoint, error.phase, error.outcome))
    opened.transport.write(b"QUIT\r\n")
    try:
        async with asyncio.timeout(_FAREWELL):
            await closed.happened.wait()
    except TimeoutError:
        pass
    finally:
        opened.transport.abort()
    return Trial(works=True, reached="ready", sentence=_praise(endpoint, opened), offers=tuple(opened.extensions))


class _Farewell(asyncio.Protocol):
    """Waits for the end of the connection."""

    def __init__(self) -> None:
        self.happened = asyncio.Event()

    def connection_lost(self, _exc: Exception | None) -> None:
        self.happened.set()


def _problem(endpoint: Endpoint, phase: Phase, outcome: Outcome) -> str:
    return _FAILED[phase].format(
        place=_place(endpoint),
        said=f"{outcome.code or ''} {outcome.text}".strip().rstrip(".") or "it broke off",
        hello=endpoint.hello,
        user=endpoint.username,
        safely="" if endpoint.tls is Tls.OPPORTUNISTIC else " over an encrypted connection",
    )


def _praise(endpoint: Endpoint, opened: Opened) -> str:
    secured = opened.transport.get_extra_info("ssl_object")
    if not isinstance(secured, ssl.SSLObject):
        safely = "without encryption"
    elif endpoint.tls is Tls.OPPORTUNISTIC:
        safely = f"with {secured.version()}, its certificate not looked at"
    else:
        safely = f"with {secured.version()} and a certificate that proves its name"
    user = f", and lets “{endpoint.username}” in" if endpoint.username else ", and asks for no password"
    return f"{_place(endpoint)} takes our mail: it answers {safely}{user}."


def _place(endpoint: Endpoint) -> str:
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return f"{host}:{endpoint.port}"
