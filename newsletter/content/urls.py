"""URLs from feeds: which ones may become links, and when two of them mean the same story."""

import re
from typing import Final
from urllib.parse import SplitResult, quote, urljoin, urlsplit, urlunsplit

MAX_LENGTH: Final = 2000
_SAFE: Final = "!$%&'()*+,-./:;=@_~?#[]"
"""What stays as it is in paths and queries; brackets too, since servers are asked for what the feed says."""

_TRACKING: Final = re.compile(
    r"utm_\w+|fbclid|gclid|gclsrc|dclid|gbraid|wbraid|msclkid|yclid|twclid|ttclid|igshid|mc_[ce]id|_ga|_gl|mkt_tok"
    r"|at_(?:medium|campaign)|cmpid|_hs(?:enc|mi)|vero_id|wickedid",
    re.IGNORECASE,
)


def web_url(value: str | None, base: str = "") -> str:
    """Return `value`, made absolute against `base`, as an http(s) URL in ASCII; empty when it is none.

    A user name or password in it makes it none: an honest link has no use for them.
    """
    if not value:
        return ""
    try:
        parts = urlsplit(urljoin(base, re.sub(r"[\x00-\x1f\x7f]", "", value).strip()))
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            return ""
        url = urlunsplit(parts._replace(netloc=_ascii_host(parts), path=quote(parts.path, _SAFE)
            , query=quote(parts.query, _SAFE), fragment=quote(parts.fragment, _SAFE)))  # fmt: skip
    except ValueError:
        return ""
    return url if len(url) <= MAX_LENGTH else ""


def canonical_url(url: str) -> str:
    """Return the key under which `url` is the same story: two spellings of one address have the same key.

    It is no link. Folded are http and https, the case of the host, default ports, a trailing slash, the fragment and
    parameters that only say where a click came from.
    """
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        port = "" if parts.port in (None, 80, 443) else f":{parts.port}"
    except ValueError:
        return url
    query = "&".join(field for field in parts.query.split("&") if not _TRACKING.fullmatch(field.partition("=")[0]))
    return f"https://{host}{port}{parts.path.rstrip('/')}{'?' if query else ''}{query}"


def _ascii_host(parts: SplitResult) -> str:
    """Return host and port in ASCII. Raises ValueError (UnicodeError) for names that have no such form."""
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host.encode("idna").decode() if not host.isascii() else host
    if not re.fullmatch(r"[a-z0-9._-]+|\[[0-9a-f:.]+\]", host):
        raise ValueError(host)
    return host if parts.port is None else f"{host}:{parts.port}"
