"""E-mail addresses: what is one, which are the same one, and how one is shown on a page that others may see.

Nothing here asks the network (standards D9): a web request that did would tell by its time which domains exist.
"""

import unicodedata
from typing import Final, Literal

from email_validator import EmailNotValidError, validate_email

from newsletter.foundation.errors import InvalidError
from newsletter.foundation.languages import N_

LONGEST: Final = 254
"""Octets that fit between the angle brackets of RCPT TO (RFC 5321 section 4.5.3.1.3)."""
_DOTLESS: Final = frozenset({"gmail.com", "googlemail.com"})
"""Providers that deliver an address with and without dots to the same mailbox."""


def check(typed: str, disposable: Literal["allow", "refuse"] = "allow") -> str:
    """Return the address as it is kept: local part as typed (NFC), domain as A-labels in lower case (D9, F24).

    Raises InvalidError with a sentence for the visitor, a source string for translators.
    """
    text = unicodedata.normalize("NFC", typed).strip()
    if not text:
        raise InvalidError(N_("Please type your e-mail address."))
    if "@" not in text:
        raise InvalidError(N_("An e-mail address has an @ in it, like name@example.org."))
    if any(sign.isspace() for sign in text):
        raise InvalidError(N_("An e-mail address has no spaces. Please type only one address."))
    local, _, domain = text.rpartition("@")
    if not local or not domain:
        raise InvalidError(N_("Something is missing before or after the @. It should look like name@example.org."))
    if "." not in domain.strip("."):
        raise InvalidError(N_("The part after the @ is not complete. It should look like example.org."))
    try:
        valid = validate_email(text, check_deliverability=False, strict=True)
    except EmailNotValidError:
        raise InvalidError(
            N_("This does not look like an e-mail address. Please check it for typing errors.")
        ) from None
    address = f"{valid.local_part}@{valid.ascii_domain}"
    if len(address.encode()) > LONGEST:
        raise InvalidError(N_("This address is too long to send mail to."))
    if disposable == "refuse" and is_disposable(address):
        raise InvalidError(N_("Mail to this provider's addresses is thrown away soon. Please use one that lasts."))
    return address


def fold(address: str) -> str:
    """Return what tells readers apart: upper and lower case do not (standards D9)."""
    return unicodedata.normalize("NFC", address.casefold())


def domain_of(address: str) -> str:
    """Return the domain, as A-labels in lower case."""
    return address.rpartition("@")[2].lower()


def cap_key(address: str) -> str:
    """Return the mailbox behind the spellings of an address, for counting mails only (standards D5).

    Case, compatibility forms, `+tags`, and at Gmail dots and the provider's second name make no difference.
    """
    local, _, domain = unicodedata.normalize("NFKC", address).casefold().rpartition("@")
    local = local.partition("+")[0] or local
    if domain in _DOTLESS:
        local, domain = local.replace(".", ""), "gmail.com"
    return f"{local}@{domain}"


def is_disposable(address: str) -> bool:
    """Tell whether the domain, or one above it, is known for addresses that are thrown away (standards D11)."""
    from disposable_email_domains import blocklist  # a megabyte that only this setting needs

    labels = domain_of(address).split(".")
    return any(".".join(labels[at:]) in blocklist for at in range(len(labels) - 1))


def mask(address: str) -> str:
    """Return the address for a page whose link may have been forwarded: `a•••@e•••.org`."""
    local, _, domain = address.rpartition("@")
    host, _, ending = domain.rpartition(".")
    return f"{local[:1]}•••@{host[:1]}•••.{ending}"
