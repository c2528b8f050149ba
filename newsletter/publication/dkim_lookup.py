"""What the DNS says about a key, beside what it should say: to be looked at before a key is activated."""

import re
from collections.abc import Sequence
from typing import Final

import dns.exception
import dns.resolver

from newsletter.foundation.errors import NewsletterError

_PATIENCE: Final = 10.0


def published(name: str, resolver: dns.resolver.Resolver | None = None, patience: float = _PATIENCE) -> list[str]:
    """Return the TXT values at `name`, none if there is no such name; `resolver` is the system's, unless given.

    Raises NewsletterError when the question is not answered within `patience` seconds.
    """
    try:
        ask = resolver or dns.resolver.Resolver()
        answer = ask.resolve(name, "TXT", lifetime=patience, search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except (dns.exception.DNSException, OSError) as problem:
        raise NewsletterError(f"The DNS does not answer about {name} ({type(problem).__name__}).") from None
    return [b"".join(record.strings).decode("ascii", "replace") for record in answer]


def why_not(found: Sequence[str], wanted: str) -> str | None:
    """Return the reason why `found` at a key's name is not the record `wanted`, if there is one.

    Records are compared by what they mean (RFC 6376 sections 3.2 and 3.6.1): white space and other tags may differ.
    """
    if not found:
        return "There is no record."
    if len(found) > 1:
        return "There are several records where one may stand."
    there, expected = _tags(found[0]), _tags(wanted)
    if there.get("v", "DKIM1") != "DKIM1" or "p" not in there:
        return "The record is not a DKIM key."
    if there["p"] != expected["p"]:
        return "The record holds another key, or a part of this one." if there["p"] else "The record is revoked."
    if there.get("k", "rsa") != expected["k"]:
        return "The record names another kind of key."
    return None


def _tags(value: str) -> dict[str, str]:
    pairs = (re.sub(r"\s", "", tag).partition("=") for tag in value.split(";"))
    return {name: text for name, equals, text in pairs if equals}
