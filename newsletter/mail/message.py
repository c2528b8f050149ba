"""The raw bytes of one mail: header fields, then text and HTML as alternatives in quoted-printable (RFC 2045, 2046).

The head is read back before it leaves: exactly the fields that were meant, each once, and no limit of the big mailbox
providers passed. (Bodies are quoted-printable, which can hold no byte that mail may not.) A mail that fails is
not sent; it cannot be sent wrong.

What is made here stands on the wire as it is, between DATA and the final dot: no line of it begins with a dot, and it
ends with a line. Its body is in DKIM's relaxed form already (see fragments.py).
"""

import hashlib
import re
from collections.abc import Collection, Sequence
from typing import Final

from newsletter.foundation.errors import RenderError
from newsletter.mail.addresses import Address
from newsletter.mail.dkim import Signer
from newsletter.mail.fragments import decode
from newsletter.mail.headers import Field, structured
from newsletter.mail.shapes import Envelope, Message

_BOUNDARY: Final = b"=_alternative"
"""Quoted-printable never holds `=_`, so no content can end a part."""
FIXED: Final = (
    structured("MIME-Version", "1.0"),
    structured("Content-Type", f'multipart/alternative; boundary="{_BOUNDARY.decode()}"'),
)
_ONCE: Final = ("From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type")
_PART: Final = b"--%s\r\nContent-Type: text/%s; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
_TEXT: Final = _PART % (_BOUNDARY, b"plain")
_HTML: Final = b"\r\n" + _PART % (_BOUNDARY, b"html")
_END: Final = b"\r\n--%s--\r\n" % _BOUNDARY
_MAX_HEAD: Final = 10_000
_MAX_BODY: Final = 100_000


def build(
    post: Envelope, recipient: Address, fields: Sequence[Field], text: bytes, html: bytes, signer: Signer | None = None
) -> Message:
    """Return the message with both parts, encoded. Raises RenderError if it is not what was meant (see above)."""
    fields = (*fields, *FIXED)
    inside = body(text, html)
    check(fields)
    if len(inside) > _MAX_BODY:
        raise RenderError("The mail would be too long: mailbox providers cut or refuse it.")
    unsigned = None
    if signer is not None:
        unsigned = signer.head(fields).unsigned((), hashlib.sha256(inside).digest(), post.signed_at or post.date)
    head = b"".join([field.line for field in fields])
    return Message(post.return_path, recipient.wire, recipient.smtputf8, (head, b"\r\n", inside), unsigned)


def body(text: bytes, html: bytes) -> bytes:
    """Return the two parts as alternatives; slots in them may still be open."""
    return b"".join((_TEXT, text, _HTML, html, _END))


def words(inside: bytes) -> tuple[str, str]:
    """Return what text and HTML part of a body say: the other way round."""
    text, html = inside.removeprefix(_TEXT).removesuffix(_END).split(_HTML)
    return decode(text), decode(html)


def check(fields: Sequence[Field], besides: Collection[str] = ()) -> None:
    """Raise RenderError unless the bytes of `fields` are exactly these, each once and no required one missing.

    `besides`: fields that come to each message by themselves. Whatever is signed in front of them is short.
    """
    names, head = [field.name for field in fields], b"".join([field.line for field in fields])
    found = [line.partition(b":")[0].decode("ascii", "replace") for line in re.split(rb"\r\n(?![ \t])", head)[:-1]]
    every = {*names, *besides}
    if found != names or len(every) != len(names) + len(besides) or not set(_ONCE) <= every:
        raise RenderError("The mail's headers did not come out as they were meant.")
    if len(head) > _MAX_HEAD:
        raise RenderError("The mail would be too long: mailbox providers cut or refuse it.")
