"""DKIM keys as they come into the world, and their public halves as the DNS holds them (RFC 6376 section 3.6; 8463).

Pure, but for the randomness of a key. The private half leaves here as PEM, for the vault and for nobody else.
"""

import base64
import datetime
import re
from collections.abc import Collection
from itertools import count
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from newsletter.publication.models import KeyAlgorithm

PrivateKey = RSAPrivateKey | Ed25519PrivateKey
_RSA_BITS: Final = 2048
"""More does not fit into one UDP answer everywhere, and costs a worker's time with every mail."""
_STRING: Final = 255
"""Octets of one character-string (RFC 1035 section 3.3); a TXT value is the join of several."""
_LABELS: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")
_LONGEST_NAME: Final = 253


def new_key(algorithm: KeyAlgorithm) -> PrivateKey:
    """Make a private key."""
    if algorithm is KeyAlgorithm.ED25519:
        return Ed25519PrivateKey.generate()
    return generate_private_key(public_exponent=65537, key_size=_RSA_BITS)


def pem(key: PrivateKey) -> str:
    """Return the private key as PKCS #8."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def from_pem(text: str) -> PrivateKey:
    """Return the private key that `pem` wrote. It was ours and came back sealed, so its primes are not tried again."""
    # Trying them takes 50 ms where loading takes 0.03, and keys are loaded afresh for each group of mails.
    key = load_pem_private_key(text.encode(), None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, RSAPrivateKey | Ed25519PrivateKey)
    return key


def record(key: PrivateKey) -> str:
    """Return the value of the TXT record that lets others verify what `key` signs."""
    if isinstance(key, RSAPrivateKey):
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return f"v=DKIM1; k=ed25519; p={base64.b64encode(public).decode()}"


def revoked(value: str) -> str:
    """Return the record that says the key of `value` counts no more: an empty p= (RFC 6376 section 3.6.1)."""
    return value.partition("p=")[0] + "p="


def name(selector: str, domain: str) -> str:
    """Return where the record stands."""
    return f"{selector}._domainkey.{domain}"


def strings(value: str) -> list[str]:
    """Return `value` in strings of at most 255 octets, as name servers store it."""
    return [value[start : start + _STRING] for start in range(0, len(value), _STRING)]


def zone_line(at: str, value: str) -> str:
    """Return the record as a line for a zone file (RFC 1035 section 5.1)."""
    return f"{at}. IN TXT ( " + " ".join(f'"{part}"' for part in strings(value)) + " )"


def why_not(selector: str, domain: str) -> str | None:
    """Return the reason why a key cannot stand under these names, if there is one."""
    if not _LABELS.fullmatch(domain):
        return "A key's domain must be a domain name in lower case, such as example.org."
    if len(selector) > 63 or not _LABELS.fullmatch(selector):
        return "A selector must be at most 63 lower-case letters, digits and hyphens, such as nl202611."
    if len(name(selector, domain)) > _LONGEST_NAME:
        return "Selector and domain are too long for one name in the DNS."
    return None


def free_selector(taken: Collection[str], now: datetime.datetime) -> str:
    """Return a selector that tells the month, such as `nl202611`, or `nl202611-2` where that is taken."""
    first = f"nl{now:%Y%m}"
    following = (f"{first}-{number}" for number in count(2))
    return first if first not in taken else next(one for one in following if one not in taken)
