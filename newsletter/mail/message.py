"""The raw bytes of one mail: header fields, then text and HTML as alternatives in quoted-printable (RFC 2045, 2046).

The head is read back before it leaves: exactly the fields that were meant, each once, and no limit of the big mailbox
providers passed. (Bodies are quoted-printable, which can hold no byte that mail may not.) A mail that fails is
not sent; it cannot be sent wrong.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from newsletter.foundation.errors import RenderError
from newsletter.mail.fragments import Fragment
from newsletter.mail.headers import Field, structured

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


def build(fields: Sequence[Field], text: Iterable[Fragment], html: Iterable[Fragment]) -> bytes:
    """Return the message. Raises RenderError if what came out is not what was meant (see the module's words)."""
    fields = (*fields, *FIXED)
    head = b"".join([field.line for field in fields])
    body = b"".join(
        [_TEXT, *[part.wire for part in text], _HTML, *[part.wire for part in html], _END],
    )
    _check(head, [field.name for field in fields], len(body))
    return head + b"\r\n" + body


def _check(head: bytes, names: list[str], length: int) -> None:
    found = [line.partition(b":")[0].decode("ascii", "replace") for line in re.split(rb"\r\n(?![ \t])", head)[:-1]]
    if found != names or len(set(names)) != len(names) or not set(_ONCE) <= set(names):
        raise RenderError("The mail's headers did not come out as they were meant.")
    if len(head) > _MAX_HEAD or length > _MAX_BODY:
        raise RenderError("The mail would be too long: mailbox providers cut or refuse it.")
