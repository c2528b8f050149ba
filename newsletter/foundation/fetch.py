"""The one way out: fetch a document over HTTP without being led where it must not go.

Each hop is read, resolved once, judged by every address of the answer and connected to one of the judged addresses;
the name goes into Host, SNI and the certificate check only. No proxy, no cookies, no credentials from the environment.
"""

import base64
import contextlib
import datetime
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPException  # noqa: TID251  (urllib3's connection raises it unwrapped)
from typing import Final
from urllib.parse import urljoin

from urllib3 import BaseHTTPResponse  # noqa: TID251  (this is the module that owns it)
from urllib3.connection import HTTPConnection  # noqa: TID251  (as above)
from urllib3.exceptions import HTTPError  # noqa: TID251  (as above)

from newsletter import __version__
from newsletter.foundation.addresses import is_public
from newsletter.foundation.clock import utc_now
from newsletter.foundation.connecting import Deadline, Resolver, connect, resolve, system_resolver
from newsletter.foundation.errors import FetchError, TemporaryFetchError
from newsletter.foundation.targets import Target, read_target
from newsletter.foundation.unpacking import ACCEPTED, unpack

PIECE: Final = 64 * 1024
FEEDS: Final = (
    "application/rss+xml, application/atom+xml, application/feed+json, application/rdf+xml;q=0.9, "
    "application/xml;q=0.8, text/xml;q=0.8, application/json;q=0.7, text/html;q=0.5, */*;q=0.1"
)
"""What a fetcher of feeds would rather have (RFC 9110 section 12.5.1)."""

_REDIRECTS = {301, 302, 303, 307, 308}
_PERMANENT_REDIRECTS = {301, 308}
_TEMPORARY = {408, 425, 429}


class RefusedError(FetchError):
    """The address may not be fetched from here."""


class GoneError(FetchError):
    """The server says that the document is gone for good (410)."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer: 200 with a body, or 304 without."""

    url: str
    """Where the document was found, after all redirects."""
    status: int
    headers: Mapping[str, str]
    """Names in lower case; repeated ones joined by a comma. Bytes beyond ASCII as ISO-8859-1."""
    body: bytes
    permanent_url: str | None
    """Where the permanent redirects at the beginning of the way lead, if there were any (301, 308)."""

    @property
    def unchanged(self) -> bool:
        """Whether the document is still the one whose validators were sent."""
        return self.status == HTTPStatus.NOT_MODIFIED


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Fetch documents under fixed limits. Safe to share between threads.

    `timeout` is for each wait on the network, `total_deadline` for the whole fetch, both in seconds; `max_bytes` counts
    after decompression. Entries of `allow_hosts` (`host`, or `host:port` for that port only) lift the rules about
    addresses and ports for that very host.
    """

    allow_hosts: frozenset[str] = frozenset()
    ports: tuple[int, ...] = (80, 443)
    timeout: float = 10.0
    total_deadline: float = 20.0
    max_bytes: int = 5_000_000
    max_redirects: int = 3
    user_agent: str = f"newsletter/{__version__}"
    resolver: Resolver = system_resolver
    tls: ssl.SSLContext | None = None
    """Another trust store than the system's."""
    clock: Callable[[], datetime.datetime] = utc_now

    def fetch(
        self,
        url: str,
        *,
        etag: str | None = None,
        last_modified: str | None = None,
        accept: str = FEEDS,
        authorization: tuple[str, str] | None = None,
    ) -> Fetched:
        """Fetch `url`, conditionally where validators of an earlier answer are given (RFC 9110 section 13).

        `authorization` (user, password) goes to the origin of `url` only. Raises FetchError in words for the operator:
        RefusedError, GoneError, or TemporaryFetchError where asking again later may help.
        """
        headers = {"Accept": accept, "Accept-Encoding": ACCEPTED, "User-Agent": self.user_agent, "Connection": "close"}
        if etag and _is_field_value(etag):
            headers["If-None-Match"] = etag
        if last_modified and _is_field_value(last_modified):
            headers["If-Modified-Since"] = last_modified
        with Deadline(self.total_deadline) as deadline:
            try:
                return self._follow(read_target(url), headers, authorization, deadline)
            except ssl.SSLCertVerificationError as problem:
                raise FetchError(f"The server's certificate is not valid: {problem.verify_message}.") from problem
            except TimeoutError as problem:
                deadline.check()
                raise TemporaryFetchError(f"The server stayed silent for {self.timeout:g} s.") from problem
            except (OSError, HTTPException, HTTPError, ValueError) as problem:
                deadline.check()
                raise TemporaryFetchError("The connection broke, or the answer was no valid HTTP.") from problem

    def _follow(
        self, target: Target, headers: dict[str, str], authorization: tuple[str, str] | None, deadline: Deadline
    ) -> Fetched:
        origin = target.origin
        credentials = {"Authorization": _basic(*authorization)} if authorization else {}
        permanent_url: str | None = None
        permanent = True
        for _ in range(self.max_redirects + 1):
            own = credentials if target.origin == origin else {}
            answer, location = self._ask(target, headers | own, deadline)
            if location is None:
                return replace(answer, permanent_url=permanent_url)
            following = read_target(urljoin(target.url, location))
            if target.scheme == "https" and following.scheme == "http":
                raise RefusedError("The server redirects from https to http, which gives the document's safety away.")
            permanent = permanent and answer.status in _PERMANENT_REDIRECTS
            if permanent:
                permanent_url = following.url
            target = following
        raise FetchError(f"The server redirected more than {self.max_redirects} times.")

    def _ask(self, target: Target, headers: dict[str, str], deadline: Deadline) -> tuple[Fetched, str | None]:
        """Make one request; give the answer, and where it redirects to."""
        addresses = self._vetted(target, deadline)
        sock = connect(addresses, target, self.timeout, deadline, self.tls)
        with contextlib.ExitStack() as held:
            held.callback(sock.close)
            connection = HTTPConnection(target.host, target.port, timeout=self.timeout)
            held.callback(connection.close)
            connection.sock = sock
            connection.auto_open = 0  # never again by name
            own = {"Host": target.authority, **headers}
            connection.request("GET", target.path, headers=own, preload_content=False, decode_content=False)
            response = connection.getresponse()
            held.callback(response.close)
            status = response.status
            names = {name.lower(): value for name, value in response.headers.items()}
            if status in _REDIRECTS and "location" in names:
                return Fetched(target.url, status, names, b"", None), _utf8(names["location"])
            self._judge(status, names, conditional="If-None-Match" in headers or "If-Modified-Since" in headers)
            body = b"" if status == HTTPStatus.NOT_MODIFIED else self._body(response, names, deadline)
            return Fetched(target.url, status, names, body, None), None

    def _vetted(self, target: Target, deadline: Deadline) -> list[str]:
        """Resolve once and judge every answer; all must be public, or the host allowed by name."""
        literal = f"[{target.host}]" if ":" in target.host else target.host
        if not self.allow_hosts.isdisjoint({target.host, literal, f"{literal}:{target.port}"}):
            return resolve(self.resolver, target, deadline)
        if target.port not in self.ports:
            raise RefusedError(f"Port {target.port} is not one that feeds are fetched from.")
        addresses = resolve(self.resolver, target, deadline)
        if not all(map(is_public, addresses)):
            raise RefusedError(
                f"{target.host} is on a private network. If that is meant, allow this host in the settings."
            )
        return addresses

    def _judge(self, status: int, headers: Mapping[str, str], *, conditional: bool) -> None:
        if 200 <= status < 300 or (status == HTTPStatus.NOT_MODIFIED and conditional):
            return
        sentence = f"The server answered {status}{_phrase(status)}."
        if status == HTTPStatus.GONE:
            raise GoneError("The server says that this feed is gone for good (410).", status=status)
        if status in _TEMPORARY or status >= 500 or status < 400:
            wait = retry_after(headers, self.clock())
            raise TemporaryFetchError(sentence, status=status, retry_after=wait)
        raise FetchError(sentence, status=status)

    def _body(self, response: BaseHTTPResponse, headers: Mapping[str, str], deadline: Deadline) -> bytes:
        coding = headers.get("content-encoding", "")
        if coding.strip().lower() in ("", "identity") and int(headers.get("content-length") or 0) > self.max_bytes:
            raise FetchError(f"The answer is larger than {self.max_bytes / 1_000_000:g} MB.")
        return unpack(_pieces(response, deadline), coding, self.max_bytes)


def retry_after(headers: Mapping[str, str], now: datetime.datetime) -> int | None:
    """Return the seconds that Retry-After asks for, given as a number or a date (RFC 9110 section 10.2.3)."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", value):
        return int(value)
    try:
        when = parsedate_to_datetime(value)
        if when.tzinfo is None:
            when = when.replace(tzinfo=datetime.UTC)
        return max(0, round((when - now).total_seconds()))
    except (ValueError, OverflowError):
        return None


def _pieces(response: BaseHTTPResponse, deadline: Deadline) -> Iterator[bytes]:
    while piece := response.read(PIECE, decode_content=False):
        yield piece
    deadline.check()  # a socket that was shut looks like the end of the body


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _is_field_value(value: str) -> bool:
    return not re.search(r"[^\t\x20-\x7e\x80-\xff]", value)


def _utf8(location: str) -> str:
    """Read a Location as the UTF-8 that servers write into it; http.client read ISO-8859-1."""
    return location.encode("latin-1", "replace").decode("utf-8", "replace").strip().replace(" ", "%20")


def _phrase(status: int) -> str:
    try:
        return f" ({HTTPStatus(status).phrase.lower()})"
    except ValueError:
        return ""
