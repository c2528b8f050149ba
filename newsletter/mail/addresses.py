"""E-mail addresses as they go over the wire (RFC 5321, 5890, 6531)."""

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
    local, _, domain = unicodedata.normalize("NFC", text).rpartition("@")
    try:
        domain = domain.lower() if domain.isascii() else idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        domain = ""
    # Beyond ASCII the pattern is no judge of what can be seen.
    unseen = not local.isascii() and any(not sign.isprintable() or sign.isspace() for sign in local)
    if unseen or not (_LOCAL.fullmatch(local) and _DOMAIN.fullmatch(domain)) or len(local.encode()) > 64:
        raise RenderError("This is not an e-mail address that mail can be sent to.")
    return Address(f"{local}@{domain}", not local.isascii())
