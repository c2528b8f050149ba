"""Keys of these tests, and messages put together with their signatures as the sending path does it."""

import functools
import hashlib
import re
from collections.abc import Sequence

from newsletter.foundation.clock import utc_now
from newsletter.mail.dkim import Signer, SigningKey
from newsletter.mail.headers import Field
from newsletter.publication import dkim_records
from newsletter.publication.models import KeyAlgorithm
from tests.mail.verifying import Records

DOMAIN = "harbour.example"
AT = utc_now()
"""Verifiers read the machine's clock, so this is the one thing here that cannot be an invented time."""


@functools.cache
def key(selector: str, algorithm: KeyAlgorithm = KeyAlgorithm.RSA, domain: str = DOMAIN) -> SigningKey:
    """Return the key of that name, the same within a test run."""
    return SigningKey(domain, selector, dkim_records.new_key(algorithm))


def records(*keys: SigningKey) -> Records:
    """Return what the DNS would hold for the keys."""
    return {dkim_records.name(one.selector, one.domain): dkim_records.record(one.private) for one in keys}


def fields_of(head: bytes) -> list[Field]:
    """Take a head (without the empty line) apart."""
    lines = re.split(rb"(?<=\r\n)(?![ \t])", head)
    return [Field(line.partition(b":")[0].decode(), line) for line in lines if line]


def relaxed_body(body: bytes) -> bytes:
    """Return the canonical form (RFC 6376 section 3.4.4), the slow way."""
    squeezed = re.sub(rb"[ \t]+(?=\r\n|\Z)", b"", re.sub(rb"[ \t]+", b" ", body))
    trimmed = re.sub(rb"(?:\r\n)*\Z", b"", squeezed)
    return trimmed + b"\r\n" if trimmed else b""


def signed(content: bytes, signer: Signer) -> bytes:
    """Return an unsigned message with its signatures in front."""
    head, _, body = content.partition(b"\r\n\r\n")
    return b"".join(field.line for field in signatures(head + b"\r\n", body, signer)) + content


def signatures(head: bytes, body: bytes, signer: Signer) -> Sequence[Field]:
    """Return the signature fields of a message."""
    return signer.sign(fields_of(head), hashlib.sha256(relaxed_body(body)).digest(), AT)
