"""What a sender must say about itself before any mail leaves (standards F11, F13, F14, J14, L11, L13)."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from newsletter.foundation.errors import RenderError
from newsletter.mail.addresses import address
from newsletter.mail.cleaning import clean
from newsletter.mail.colour import is_colour


def why_not_display_name(name: str) -> str | None:
    """Return the reason why mailbox providers would take `name` for a trick, if there is one (Gmail's guidelines)."""
    if name != clean(name, 64) or not any(sign.isalpha() for sign in name):
        return "It must be one line of at most 64 characters, with letters and without invisible ones."
    if "@" in name or re.search(r"\b(?:gmail|googlemail|yahoo|outlook|hotmail|icloud)\.\w", name, re.IGNORECASE):
        return "It must not look like an e-mail address."
    if re.search(r"[\[\]{}<>]|\(\s*\d+\s*\)", name):
        return "It must not hold brackets, or a number like “(2)” as if it were a conversation."
    if re.match(r"(?:re|fwd?)\s*:", name, re.IGNORECASE):
        return "It must not begin like a reply."
    if any(unicodedata.category(sign) in ("So", "Sk") and sign not in "®™©^`´¨" for sign in name):
        return "It must hold no emoji or check marks."
    return None


def problems(
    *,
    name: str,
    postal_address: str,
    addresses: Sequence[str],
    list_domain: str,
    sender_id: str,
    colours: Iterable[str],
) -> list[str]:
    """Return a sentence for each thing that keeps the publication from sending.

    `addresses` are contact, sender of digests and sender of confirmations, in this order.
    """
    return list(_problems(name, postal_address, addresses, list_domain, sender_id, colours))


def _problems(
    name: str, postal: str, addresses: Sequence[str], list_domain: str, sender_id: str, colours: Iterable[str]
) -> Iterator[str]:
    if reason := why_not_display_name(name):
        yield f"Its name cannot be a sender's name. {reason}"
    if not postal.strip():
        yield "Its postal address is missing."
    for role, text in zip(("contact address", "digests' sender", "confirmations' sender"), addresses, strict=True):
        try:
            usable = not address(text).smtputf8
        except RenderError:
            usable = False
        if not usable:
            yield f"The {role} is not a usable e-mail address."
    if addresses[1].casefold() == addresses[2].casefold():
        yield "Digests and confirmations need different sender addresses."
    if not re.fullmatch(r"(?=.{1,200}$)[a-z0-9-]+(\.[a-z0-9-]+)*", list_domain):
        yield "The list domain is not a domain name in lower case."
    if not re.fullmatch(r"[A-Za-z0-9_-]{5,15}", sender_id):
        yield "The sender id must be 5 to 15 letters and digits."
    if not all(map(is_colour, colours)):
        yield "Accent colours are written as #rrggbb."
