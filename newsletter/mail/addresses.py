"""E-mail addresses as they go over the wire (RFC 5321, 5890, 6531)."""

import functools
import re
import unicodedata
from typing import Final, NamedTuple

import idna

from newsletter.foundation.errors import RenderError

_LOCAL: Final = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]+)*"
)
_DOMAIN: Final = re.compile(
    r"(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)


class Address(NamedTuple):
    """An addr-spec and whether it can only travel with SMTPUTF8."""

    wire: str
    smtputf8: bool


def address(text: str) -> Address:
    """Return `text` with its domain as A-labels; a local part beyond ASCII is kept as it is (standards F24).

    Raises RenderError for anything that is not one plain address.
    """
    plain = text.isascii()
    local, _, domain = (text if plain else unicodedata.normalize("NFC", text)).rpartition("@")
    wire = _domain(domain)
    # Beyond ASCII the pattern is no judge of what can be seen.
    unseen = not plain and any(not sign.isprintable() or sign.isspace() for sign in local)
    if not wire or unseen or not _LOCAL.fullmatch(local) or len(local if plain else local.encode()) > 64:
        raise RenderError("This is not an e-mail address that mail can be sent to.")
    return Address(f"{local}@{wire}", not (plain or local.isascii()))


@functools.lru_cache(maxsize=4_096)
def _domain(name: str) -> str:
    """Return a domain as A-labels, empty if it is none; most readers share a few."""
    try:
        wire = name.lower() if name.isascii() else idna.encode(name, uts46=True).decode()
    except idna.IDNAError:
        return ""
    return wire if _DOMAIN.fullmatch(wire) else ""
