"""Where a relay is and how to speak to it: what the SMTP client needs to know of it."""

import functools
import ipaddress
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
        """Read `smtp://user:password@host:port?starttls=…&auth=clear&hello=…` or `smtps://…`; bytes are %-encoded.

        Without `starttls=opportunistic` TLS is required and the certificate verified, unless the relay is this host.
        """
        parts = urlsplit(url)
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        host = parts.hostname or ""
        implicit = parts.scheme == "smtps"
        wanted = options.get("starttls", "opportunistic" if is_loopback(host) else "required")
        return cls(
            host=host,
            port=parts.port or (465 if implicit else 25),
            tls=Tls.IMPLICIT if implicit else Tls.OPPORTUNISTIC if wanted == "opportunistic" else Tls.STARTTLS,
            username=unquote(parts.username or "", errors="surrogateescape"),
            password=unquote(parts.password or "", errors="surrogateescape"),
            hello=options.get("hello") or own_name(),
            connections=connections,
            clear_password=options.get("auth") == "clear",
        )


def is_loopback(address: str) -> bool:
    """Say whether an IP address, or the name localhost, stands for this very host."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address == "localhost"
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_loopback


@functools.cache
def own_name() -> str:
    """Return this host's name for EHLO; asked once, as the answer may take the resolver seconds."""
    return socket.getfqdn()
