"""Say what a document is, and read it. Runs in a process of its own (see parser.py), for its input may be hostile."""

import re
from typing import Final

from newsletter.content.entries import MAX_LISTED
from newsletter.content.jsonfeeds import parse_json
from newsletter.content.parsed import ParsedFeed, WebPageError
from newsletter.content.xmlfeeds import parse_xml
from newsletter.foundation.errors import ParseError

_PROLOGUE: Final = re.compile(
    rb"(?:\s+|<\?[^>]*>|<!--.*?-->|<!DOCTYPE[^>\[]*(?:\[[^\]]*\]\s*)?>)*", re.DOTALL | re.IGNORECASE
)
_KNOWN: Final = {
    b"urlset": "This is a sitemap, not a feed.",
    b"sitemapindex": "This is a sitemap, not a feed.",
    b"opml": "This is a list of feeds (OPML), not a feed.",
    b"svg": "This is a picture, not a feed.",
}


def parse_document(body: bytes, url: str, content_type: str | None) -> ParsedFeed:
    """Read `body`, found at `url` (empty if at none). Raises ParseError with the reason in plain words."""
    ascii_view = body.replace(b"\0", b"")  # UTF-16 and UTF-32 look like ASCII then, well enough to recognise markup
    start = ascii_view.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n\xff\xfe")[:2000]
    if not start:
        raise ParseError("The document is empty.")
    if start[:1] in (b"{", b"["):
        return parse_json(body, url)
    if b"<" not in ascii_view:
        raise ParseError("This is no feed: neither RSS, Atom nor JSON Feed.")
    if is_web_page(start):
        raise WebPageError("This is a web page, not a feed.")
    root = _root(start)
    if root in _KNOWN:
        raise ParseError(_KNOWN[root])
    if re.search(rb"<!ENTITY", ascii_view, re.IGNORECASE):
        raise ParseError("The document declares entities, which no feed needs and attackers use; it was not read.")
    if ascii_view.count(b"<item") + ascii_view.count(b"<entry") > MAX_LISTED:
        raise ParseError(f"The document has more than {MAX_LISTED} entries.")
    return parse_xml(body, url, content_type)


def is_web_page(start: bytes) -> bool:
    """Tell whether a document that begins with `start` is HTML."""
    return _root(start) == b"html" or re.match(rb"\s*<!doctype\s+html", start, re.IGNORECASE) is not None


def _root(start: bytes) -> bytes:
    prologue = _PROLOGUE.match(start)
    found = re.match(rb"<(?:[A-Za-z0-9_.-]+:)?([A-Za-z]+)", start[prologue.end() if prologue else 0 :])
    return found[1].lower() if found else b""
