"""Take apart a URL that the service is asked to fetch, and refuse what no honest feed needs."""

import re
from dataclasses import dataclass
from typing import Final

from urllib3.exceptions import LocationParseError  # noqa: TID251  (the fetcher's own parser of URLs)
from urllib3.util import parse_url  # noqa: TID251  (as above: what is checked and what is asked must be read alike)

from newsletter.foundation.addresses import is_disguised, is_literal
from newsletter.foundation.errors import FetchError

DEFAULT_PORTS: Final = {"http": 80, "https": 443}
MAX_LENGTH: Final = 2000
_NAME = re.compile(r"[a-z0-9]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9])?)*\.?")


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect and what to ask for."""

    scheme: str
    host: str
    """Lower-case ASCII name, or an IP address without brackets."""
    port: int
    path: str
    """With its query."""

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: what credentials belong to (RFC 6454 section 4)."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The address in one spelling, without a fragment."""
        return f"{self.scheme}://{self.authority}{self.path}"


def read_target(url: str) -> Target:
    """Take `url` apart; names become ASCII (IDNA 2008), the path is percent-encoded.

    Raises FetchError for another scheme, a user name or password, control characters, and hosts that are neither a
    name nor an IP address in its usual spelling.
    """
    url = url.strip()
    if len(url) > MAX_LENGTH:
        raise FetchError(f"The address is longer than {MAX_LENGTH} characters.")
    if re.search(r"[\x00-\x20\x7f\\]", url):
        raise FetchError("The address contains spaces, backslashes or control characters.")
    try:
        parts = parse_url(url)
    except LocationParseError as problem:
        raise FetchError("The address is not a valid web address.") from problem
    if parts.scheme not in DEFAULT_PORTS:
        raise FetchError("Only addresses that begin with http:// or https:// can be fetched.")
    if parts.auth is not None:
        raise FetchError("The address contains a user name or password; store them with the source instead.")
    host = (parts.host or "").removeprefix("[").removesuffix("]").lower()
    if not host:
        raise FetchError("The address names no host.")
    if is_disguised(host) or not (is_literal(host) or (_NAME.fullmatch(host) and len(host) <= 253)):
        raise FetchError("The address names no valid host.")
    port = parts.port or DEFAULT_PORTS[parts.scheme]
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host.rstrip("."), port, path)
