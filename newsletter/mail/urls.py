"""Addresses of pages, as a mail may carry them: absolute, ASCII, https.

A link to a page under http is written with https: mail may hold no http link (standards F19), and a news site that
still serves no https is read through its redirect or not at all. Only this machine's own addresses keep http, so that
the service can be tried out without a certificate.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import idna

from newsletter.foundation.errors import RenderError

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_KEPT: Final = "/?%:@!$&*+,;=-._~"
"""What stands as it is in path, query and fragment. At a quote, bracket or space a mail program may end the link."""
_OWN: Final = re.compile(
    r"(?:https://[A-Za-z0-9._-]+|http://(?:localhost|127\.0\.0\.1))(?::[0-9]+)?(?:[/?#][!#-&*-;=?-Z^_a-~]*)?"
)
_ENTITY: Final = re.compile(r"&(#\d+|\w+);")


def page_url(url: str, parameters: Mapping[str, str] | None = None) -> str | None:
    """Return `url` as a mail may link it, with `parameters` added to its query where they are not there already.

    None if it is no http or https address of a host.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port
        name = host if host in _LOOPBACK or host.isascii() else idna.encode(host, uts46=True).decode()
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not re.fullmatch(r"[A-Za-z0-9._-]+|::1", name):
        return None
    scheme = parts.scheme if name in _LOOPBACK else "https"
    network = f"[{name}]" if ":" in name else name
    if port is not None and not (port == 80 and parts.scheme == "http" and scheme == "https"):
        network += f":{port}"
    query = parts.query
    present = {key for key, _ in parse_qsl(query, keep_blank_values=True)}
    added = urlencode({key: value for key, value in (parameters or {}).items() if key not in present})
    query = "&".join(filter(None, (query, added)))
    safe = urlunsplit((scheme, network, _quoted(parts.path), _quoted(query), _quoted(parts.fragment)))
    # Text programs leave a stop or comma at the end of a line out of the link, and HTML reads `&word;` as a character.
    safe = _ENTITY.sub(r"&\1%3B", safe)
    tail = re.search(r"[.,;:!?*_~]*$", safe)
    return safe[: tail.start()] + "".join(f"%{ord(sign):02X}" for sign in tail[0]) if tail else safe


def own_url(url: str) -> str:
    """Return `url`, one of our own, unchanged. Raises RenderError unless a mail may carry it as it stands."""
    if not _OWN.fullmatch(url):
        raise RenderError(f"“{url[:80]}” cannot be linked in mail: it must be a plain https address.")
    return url


def _quoted(text: str) -> str:
    # surrogates, which a broken feed can smuggle in, have no UTF-8 form
    return quote(text.encode("utf-8", "replace"), safe=_KEPT)
