"""What is a reader's own in a digest, made for each mail and therefore quick: addresses, links, a name.

The forms that occur are recognised by a few fast tests; everything else takes the way through the modules that know
every case, or is refused by them. What is not told apart here cannot go wrong: a head whose white space and brackets
are not exactly those it was written with is not sent.
"""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import escape

from newsletter.foundation import languages
from newsletter.foundation.errors import RenderError
from newsletter.mail import headers
from newsletter.mail.addresses import Address
from newsletter.mail.cleaning import prose
from newsletter.mail.fragments import encode
from newsletter.mail.headers import Field
from newsletter.mail.shapes import Envelope, PersonalLinks
from newsletter.mail.urls import own_url

FIELDS: Final = ("name", "for_name", "leave", "preferences")
"""What a template may say of its reader without being rendered anew for each (see readers.py)."""
HEADERS: Final = ("To", "Date", "Message-ID", "List-Unsubscribe")
PLACES: Final = {
    f"{part}:{field}": at for at, (field, part) in enumerate((f, p) for f in FIELDS for p in ("txt", "html"))
}
"""Slot to its place in what `own` returns."""
_LONGEST_NAME: Final = 60
_LONGEST_LINK: Final = 300
_LONGEST_HEAD: Final = 990
"""Bytes of Message-ID and List-Unsubscribe: neither has a line of more than 998, nor more than 2,000 in all."""
_TOKEN: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
"""URL-safe base64: nothing that quoted-printable or HTML write differently."""
_COLUMNS: Final = 75
_SOFT: Final = b"=\r\n"
"""Ends a line that goes on (RFC 2045 section 6.7)."""
_PLAIN_NAME: Final = re.compile(r"(?!From )[^\W_]+(?:(?:[ '’-]|\. ?)[^\W_]+)*\.?")
"""Letters and digits of any script with single blanks, hyphens, stops or apostrophes: cleaning leaves them as they are,
and HTML all but the last."""
_NAMELESS: Final = b"", b"", b"", b""
_VISIBLE: Final = bytes(byte for byte in range(0x21, 0x7F) if byte not in b"<>")
_BONES: Final = {False: b" <>\r\n\r\n <>\r\n", True: b" <>\r\n\r\n <>\r\n <>\r\n"}
"""What is left of Message-ID and List-Unsubscribe without their letters; by whether there is a mailto."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader as templates see one."""

    name: str
    for_name: str
    """The addition to the masthead, e.g. ` · for Anna`; empty for who gave no name."""
    leave: str
    preferences: str
    categories: Sequence[str] = ()
    """Names of those in this mail; only where templates are rendered in full."""


def reader(name: str, links: PersonalLinks, language: str, categories: Sequence[str] = ()) -> Reader:
    """Return a reader in words. Raises RenderError for links that are not ours."""
    shown = prose(name, _LONGEST_NAME)
    return Reader(shown, _for(shown, language), _link(links.leave), _link(links.preferences), categories)


def own(name: str, links: PersonalLinks, language: str) -> tuple[bytes, ...]:
    """Return the encoded form of each field of `FIELDS`, for the text part and for the HTML part."""
    return (*_named(name, language), *_linked(links.leave), *_linked(links.preferences))


def longest(language: str) -> dict[str, int]:
    """Return the most encoded bytes that may come into each slot."""
    name = "\U0001f6a2" * _LONGEST_NAME
    sizes = {"name": len(encode(name)), "for_name": len(encode(_for(name, language)))}
    return {place: sizes.get(place.partition(":")[2], _LONGEST_LINK + 40) for place in PLACES}


def head(recipient: Address, post: Envelope, links: PersonalLinks) -> bytes:
    """Return To, Date, Message-ID and List-Unsubscribe, web address first (RFC 2369, RFC 8058).

    Raises RenderError for whatever cannot stand in a header, or would be too long for one (standards F10).
    """
    one_click, _, _, mailto = links
    if _beginning(one_click.rpartition("/")[0]) is None:
        _link(one_click)
    second = f",\r\n <{mailto}>" if mailto else ""
    rest = f"Message-ID: {post.message_id}\r\nList-Unsubscribe:\r\n <{one_click}>{second}\r\n"
    wire = rest.encode("utf-8", "replace")
    meant = post.message_id.count("@") == 1 and (not mailto or mailto.startswith("mailto:"))
    if not meant or wire.translate(None, _VISIBLE) != _BONES[bool(mailto)] or len(wire) > _LONGEST_HEAD:
        raise RenderError("The Message-ID or an address for leaving is malformed or too long.")
    return b"To: %b\r\n%b%b" % (recipient.wire.encode(), headers.date(post.date).line, wire)


def fields(wire: bytes) -> list[Field]:
    """Return the fields of a head one by one: the first three stand on a line each."""
    *lines, unsubscribe = wire.split(b"\r\n", 3)
    return [
        Field(name, line)
        for name, line in zip(HEADERS, (*(b"%b\r\n" % line for line in lines), unsubscribe), strict=True)
    ]


def _named(name: str, language: str) -> tuple[bytes, bytes, bytes, bytes]:
    """Return the encoded forms of name and addition.

    Few readers have the same name. One that cleaning leaves as it is, and that fits a line, is set between the encoded
    words of the addition.
    """
    if not name:
        return _NAMELESS
    if len(name) <= _LONGEST_NAME and _PLAIN_NAME.fullmatch(name):
        txt = html = _set(name, language)
        if "'" in name:
            html = _set(name.replace("'", "&#39;"), language)
        if txt is not None and html is not None:
            return txt[0], html[0], txt[1], html[1]
    return _named_otherwise(name, language)


def _set(name: str, language: str) -> tuple[bytes, bytes] | None:
    """Return the encoded forms of a plain name and its addition, None where that takes more than a line."""
    raw = name.encode() if name.isascii() else encode(name)[: -len(_SOFT)]
    before, after = _around(language)
    addition = before + raw + after
    return (raw + _SOFT, addition) if len(addition) <= _COLUMNS + len(_SOFT) else None


@functools.lru_cache(maxsize=1_024)
def _named_otherwise(name: str, language: str) -> tuple[bytes, bytes, bytes, bytes]:
    shown = prose(name, _LONGEST_NAME)
    return (*_both(shown), *_both(_for(shown, language)))


@functools.cache
def _around(language: str) -> tuple[bytes, bytes]:
    """Return the encoded words before and behind a name in the addition to the masthead."""
    before, _, after = _for("\0", language).partition("\0")
    return encode(before).removesuffix(_SOFT), encode(after).removesuffix(_SOFT) + _SOFT


def _for(shown: str, language: str) -> str:
    if not shown:
        return ""
    return " · " + languages.catalogue(language).gettext("for %(name)s") % {"name": shown}


def _linked(url: str) -> tuple[bytes, bytes]:
    start, _, token = url.rpartition("/")
    raw = token.encode("utf-8", "replace")
    known = _beginning(start) if 0 < len(raw) <= _COLUMNS and not raw.translate(None, _TOKEN) else None
    if known is None:
        return _both(_link(url))
    text, html = known
    wire = text + raw + _SOFT
    return wire, wire if html is text else html + raw + _SOFT


@functools.lru_cache(maxsize=64)
def _beginning(start: str) -> tuple[bytes, bytes] | None:
    """Return what links of ours begin with, up to their last slash, which all readers share; None if ours do not."""
    try:
        return _both(_link(f"{start}/"))
    except RenderError:
        return None


def _both(words: str) -> tuple[bytes, bytes]:
    wire, escaped = encode(words), str(escape(words))
    return wire, wire if escaped == words else encode(escaped)


def _link(url: str) -> str:
    if len(url) > _LONGEST_LINK:
        raise RenderError("A personal link would be too long.")
    return own_url(url)
