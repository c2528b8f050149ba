"""Header fields, written by hand so that each byte is known.

Python's own serialiser turns long List-Unsubscribe URLs into encoded-words, and on some versions lets an encoded-word
in a feed's headline become a header of its own. Here structured fields are ASCII and verbatim, folded only where their
grammar has white space; encoded-words (RFC 2047) stand in Subject and in phrases alone.
"""

import base64
import datetime
import functools
import re
from email.utils import format_datetime
from typing import Final, NamedTuple
from urllib.parse import quote

from newsletter.foundation.errors import RenderError
from newsletter.mail.addresses import Address
from newsletter.mail.cleaning import clean

ALLOWED: Final = frozenset(
    {
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "MIME-Version",
        "Content-Type",
        "Reply-To",
        "List-Unsubscribe",
        "List-Unsubscribe-Post",
        "List-Id",
        "List-Help",
        "List-Owner",
        "List-Archive",
        "List-Subscribe",
        "List-Post",
        "Feedback-ID",
        "Precedence",
        "Auto-Submitted",
        "X-Auto-Response-Suppress",
    }
)
_LINE: Final = 76
_OVERHEAD: Final = len("=?utf-8?q??=")
_WORD: Final = 75
_Q_PLAIN: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
"""RFC 2047 section 5 (3): what needs no escape even in a phrase."""
_ATOMS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")


class Field(NamedTuple):
    """One header field: its name, and its bytes with folds and the final CRLF."""

    name: str
    line: bytes


def structured(name: str, value: str) -> Field:
    """Return a field whose `value` is verbatim, but for folds where it has spaces."""
    return _field(name, _folded(name, value))


def unstructured(name: str, text: str) -> Field:
    """Return a field of free text: as it is if it is short plain ASCII, else in encoded-words."""
    if _is_plain(text) and max(map(len, text.split(" "))) < _LINE - len(name) - 2:
        return structured(name, text)
    return structured(name, _encoded_words(text, len(name) + 2))


def mailbox(name: str, display_name: str, address: Address) -> Field:
    """Return an address field, `Name <address>`."""
    return structured(name, f"{phrase(display_name, len(name) + 2)} <{address.wire}>")


def to(recipient: Address) -> Field:
    """Return the To field. A recipient beyond ASCII makes it UTF-8 (RFC 6532), for hops that offer SMTPUTF8 only."""
    return _field("To", f" {recipient.wire}", "utf-8" if recipient.smtputf8 else "ascii")


def list_id(name: str, slug: str, domain: str) -> Field:
    """Return List-Id: a phrase that may change and an identifier that never does (RFC 2919 section 2)."""
    label = slug.lower().replace("_", "-")
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", label):
        raise RenderError(f"“{slug[:40]}” cannot name a list: letters, digits and hyphens only.")
    return structured("List-Id", f"{phrase(name, len('List-Id: '))} <{label}.lists.{domain}>")


def list_facts(contact: str, archive: str, subscribe: str) -> tuple[Field, ...]:
    """Return what else a list says of itself (RFC 2369 section 3); nobody posts to it (section 3.4).

    `contact` is a mail address that people read, `archive` and `subscribe` are pages for everybody.
    """
    desk = quote(contact, safe="@")
    return (
        structured("List-Help", f"<mailto:{desk}?subject=help>"),
        structured("List-Owner", f"<mailto:{desk}>"),
        structured("List-Archive", f"<{archive}>"),
        structured("List-Subscribe", f"<{subscribe}>"),
        structured("List-Post", "NO"),
    )


def feedback_id(issue: str, slug: str, stream: str, sender: str) -> Field:
    """Return Feedback-ID, at most four values of which no two are equal (standards L13)."""
    values = [sender]
    for kind, value in (("stream", stream), ("list", slug), ("issue", issue)):
        short = re.sub(r"[^A-Za-z0-9_.-]", "-", value)[:60] or kind
        values.insert(0, f"{short}-{kind}" if short in values else short)
    return structured("Feedback-ID", ":".join(values))


@functools.lru_cache(maxsize=1_024)
def date(when: datetime.datetime) -> Field:
    """Return the Date field for an aware instant; many messages share one."""
    return structured("Date", format_datetime(when))


def message_id(text: str) -> Field:
    """Return Message-ID. Raises RenderError unless `text` is `<left@domain>` in plain ASCII."""
    if not re.fullmatch(r"<[\x21\x23-\x27\x2a-\x2b\x2d-\x39\x3d\x3f\x41-\x5a\x5e-\x7e]+@[A-Za-z0-9.-]+>", text):
        raise RenderError("The Message-ID is malformed.")
    return structured("Message-ID", text)


def phrase(text: str, offset: int) -> str:
    """Return a display name as atoms, a quoted string or encoded-words; `offset` is what precedes it on the line."""
    name = clean(text, 120)
    if _is_plain(name) and len(name) < _LINE - offset - 2:
        if _ATOMS.fullmatch(name):
            return name
        return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return _encoded_words(name, offset)


def _field(name: str, value: str, charset: str = "ascii") -> Field:
    if name not in ALLOWED:
        raise RenderError(f"{name} is no header of ours.")
    if not value.strip() or re.search(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n )|(?<!\r)\n", value):
        raise RenderError(f"The header {name} would be malformed.")
    try:
        line = f"{name}:{value}\r\n".encode(charset)
    except UnicodeEncodeError:
        raise RenderError(f"The header {name} may hold ASCII only.") from None
    if len(line) > 2000 or max(map(len, line.split(b"\r\n"))) > 998:
        raise RenderError(f"The header {name} would be too long.")
    return Field(name, line)


def _folded(name: str, value: str) -> str:
    """Fold at spaces: as many tokens on each line as fit into 76 columns, and a longer one on a line of its own."""
    if len(name) + 2 + len(value) <= _LINE:
        return f" {value}"
    lines = [f"{name}:"]
    for token in value.split(" "):
        if len(lines[-1]) + 1 + len(token) > _LINE:
            lines.append("")
        lines[-1] += f" {token}"
    return "\r\n".join(lines).removeprefix(f"{name}:")


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _encoded_words(text: str, offset: int) -> str:
    """Return encoded-words of at most 75 characters, each of whole characters; the first fits behind `offset`."""
    raw = text.encode()
    quoted = sum(1 if byte in _Q_PLAIN or byte == 0x20 else 3 for byte in raw)
    letter, encode = ("q", _q) if quoted <= len(raw) * 4 / 3 else ("b", _b)
    room, chunk, made = min(_WORD, _LINE - offset) - _OVERHEAD, "", []
    for sign in text:
        if chunk and len(encode(chunk + sign)) > room:
            made.append(f"=?utf-8?{letter}?{encode(chunk)}?=")
            room, chunk = _WORD - _OVERHEAD, ""
        chunk += sign
    return " ".join((*made, f"=?utf-8?{letter}?{encode(chunk)}?="))


def _q(text: str) -> str:
    return "".join(chr(b) if b in _Q_PLAIN else "_" if b == 0x20 else f"={b:02X}" for b in text.encode())


def _b(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
