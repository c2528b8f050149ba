"""Which encoding a document is in, when HTTP and the document disagree."""

import codecs
import re
from typing import Final

_MARKS: Final = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
_XML: Final = re.compile(rb"^\s*<\?xml[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._:-]{1,40})[\"']")
_META: Final = re.compile(rb"<meta[^>]{1,200}charset\s*=\s*[\"']?([A-Za-z0-9._:-]{1,40})", re.IGNORECASE)
_HTTP: Final = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9._:-]{1,40})", re.IGNORECASE)


def charset_hint(body: bytes, content_type: str | None) -> str:
    """Return `; charset=…` for an XML document whose own declaration is absent or wrong, else nothing.

    RFC 7303 section 3 puts the byte-order mark first. After that we believe the document rather than the header: a
    server's header is often one default for everything it serves.
    """
    if body.startswith(_MARKS):
        return ""
    declared = _XML.match(body[:300])
    if declared and _fits(body, declared[1].decode()):
        return ""
    sent = _http_charset(content_type)
    return f"; charset={sent}" if sent and _fits(body, sent) else ""


def html_text(body: bytes, content_type: str | None) -> str:
    """Decode a web page, well enough to find its links."""
    named = _META.search(body[:4096])
    for name in (_http_charset(content_type), named[1].decode() if named else "", "utf-8"):
        if name and _fits(body, name):
            return body.decode(name)
    return body.decode("utf-8", "replace")


def _http_charset(content_type: str | None) -> str:
    found = _HTTP.search(content_type or "")
    return found[1] if found else ""


def _fits(body: bytes, name: str) -> bool:
    try:
        body.decode(name)
    except (LookupError, UnicodeError):
        return False
    return True
