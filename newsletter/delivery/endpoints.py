"""Where a relay is and how to speak to it: what the SMTP client needs to know of it."""

import functools
import socket
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from newsletter.delivery.models import FROM_SETTINGS, Tls


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A relay as a worker process uses it."""

    host: str
    port: int
    tls: Tls = Tls.OPPORTUNISTIC
    username: str = ""
    password: str = field(default="", repr=False)
    hello: str = "localhost"
    id: int = FROM_SETTINGS
    name: str = "settings"
    connections: int = 5
    """At most so many of this process."""
    weight: int = 1
    """Its share of the mail beside others; 0: only when those with a weight are away."""
    clear_password: bool = False
    """The password may cross a network unencrypted."""

    @classmethod
    def from_url(cls, url: str, connections: int = 5) -> "Endpoint":
        """Read `smtp://user:password@host:port?starttls=required` or `smtps://…`."""
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        implicit = parts.scheme == "smtps"
        required = query.get("starttls", [""])[0] == "required" or bool(parts.username)
        return cls(
            host=parts.hostname or "",
            port=parts.port or (465 if implicit else 25),
            tls=Tls.IMPLICIT if implicit else Tls.STARTTLS if required else Tls.OPPORTUNISTIC,
            username=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            hello=query.get("hello", [own_name()])[0],
            connections=connections,
        )


@functools.cache
def own_name() -> str:
    """Return this host's name for EHLO; asked once, as the answer may take the resolver seconds."""
    return socket.getfqdn()
