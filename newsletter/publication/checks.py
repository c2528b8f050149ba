"""What a publication's fields must be. Pure: each check returns a sentence that says what is wrong, or None."""

import re
import unicodedata
import zoneinfo
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email

from newsletter.foundation.languages import LANGUAGES

PAPER_LIGHT: Final = "#ffffff"
PAPER_DARK: Final = "#171614"
"""What the accent is read on, the two values of --paper in static/newsletter.css."""
_LEAST_CONTRAST: Final = 4.5
_FREEMAIL: Final = re.compile(r"\b(?:gmail|googlemail|yahoo|outlook|hotmail|icloud|aol|gmx)\s*\.\s*\w", re.IGNORECASE)


def display_name(name: str) -> str | None:
    """Judge the From display name as Gmail's sender guidelines do ("Display names"; standards F11)."""
    if not name or len(name) > 64 or not any(sign.isalpha() for sign in name):
        return "The name must have letters, and at most 64 characters."
    if any(unicodedata.category(sign)[0] == "C" or sign in "\u2028\u2029" for sign in name):
        return "The name must be one line without invisible characters."
    if "@" in name or _FREEMAIL.search(name):
        return "The name must not look like an e-mail address."
    if re.search(r"[\[\]{}<>]|\(\s*\d+\s*\)", name):
        return "The name must not hold brackets, or a number like (2) as if it were a conversation."
    if re.match(r"(?:re|fwd?|aw|wg)\s*:", name, re.IGNORECASE):
        return "The name must not begin like a reply."
    if any(unicodedata.category(sign) == "So" and sign not in "®©" for sign in name):
        return "The name must hold no emoji or check marks."
    return None


def mailbox(role: str, address: str) -> str | None:
    """Judge an address that mails come from or are answered to: ASCII, so that it goes over every relay (F13, F24)."""
    try:
        checked = validate_email(address, check_deliverability=False, allow_smtputf8=False, strict=True)
    except EmailNotValidError:
        return f"{role} must be an e-mail address like news@example.org."
    return None if checked.ascii_email == address else f"{role} must be written {checked.ascii_email}."


def two_senders(digest_from: str, confirmation_from: str) -> str | None:
    """Digests and confirmations come from different addresses (standards F14)."""
    if digest_from and digest_from.casefold() == confirmation_from.casefold():
        return "Digests and confirmations need two different sender addresses."
    return None


def web_address(role: str, url: str) -> str | None:
    """Judge a public page's address."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and not re.search(r"[\s<>\"]", url)
    except ValueError:
        usable = False
    return None if usable else f"{role} must begin with https:// and name a host."


def list_domain(domain: str) -> str | None:
    """Judge the right side of List-Id: a domain name in lower case (RFC 2919 section 3)."""
    label = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
    usable = len(domain) <= 180 and re.fullmatch(rf"{label}(?:\.{label})*", domain)
    return None if usable else "The list domain must be a domain name in lower case, like lists.example.org."


def sender_id(text: str) -> str | None:
    """Judge the last field of Feedback-ID: 5 to 15 letters and digits (standards L13)."""
    usable = re.fullmatch(r"[A-Za-z0-9]{5,15}", text)
    return None if usable else "The sender id must be 5 to 15 letters and digits."


def language(code: str) -> str | None:
    """Only what there are words for."""
    return None if code in LANGUAGES else f"The language must be one of {', '.join(LANGUAGES)}."


def timezone(name: str) -> str | None:
    """Only zones of the time zone database."""
    return None if name in zoneinfo.available_timezones() else "The time zone must be one like Europe/Berlin."


def accent(role: str, colour: str, paper: str) -> str | None:
    """Judge a colour as text on `paper` (WCAG 2.2 SC 1.4.3, level AA)."""
    if not re.fullmatch("#[0-9a-fA-F]{6}", colour):
        return f"{role} must be written like #8a1c1c."
    ratio = contrast(colour, paper)
    if ratio < _LEAST_CONTRAST:
        return f"{role} cannot be read: its contrast is {ratio:.1f} to 1, and it takes {_LEAST_CONTRAST} (WCAG AA)."
    return None


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two `#rrggbb` colours, 1 to 21 (WCAG 2.2, "contrast ratio")."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def missing(facts: Mapping[str, str]) -> list[str]:
    """Return a sentence for each fact that is empty."""
    return [f"The {name} is missing." for name, value in facts.items() if not value]


def domain_of(address: str) -> str:
    """Return the domain of an address in lower case, empty if it has none."""
    return address.rpartition("@")[2].lower() if "@" in address else ""


def sender_id_for(name: str) -> str:
    """Make a sender id out of a name: its plain letters and digits, filled up to five."""
    plain = unicodedata.normalize("NFKD", name)
    return re.sub("[^a-z0-9]", "", plain.lower())[:15].ljust(5, "0")


def _luminance(colour: str) -> float:
    """Relative luminance of sRGB (WCAG 2.2, "relative luminance")."""
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
