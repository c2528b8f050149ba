"""Keys of these tests, mails of all sorts that are signed with them, and a slow way of our own to sign any bytes."""

import datetime
import functools
import hashlib
import random
import re
from collections.abc import Sequence

from newsletter.foundation.clock import utc_now
from newsletter.mail.confirmation import ConfirmationLinks, already_subscribed, confirmation, encode
from newsletter.mail.digest import DigestComposer
from newsletter.mail.dkim import Signer, SigningKey
from newsletter.mail.headers import Field
from newsletter.mail.shapes import Envelope
from newsletter.publication import dkim_records
from newsletter.publication.models import KeyAlgorithm
from tests.mail import samples
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
    return sign(signer, fields_of(head), hashlib.sha256(relaxed_body(body)).digest())


def sign(signer: Signer, fields: Sequence[Field], body_hash: bytes = bytes(32)) -> list[Field]:
    """Return the signature fields that go in front of `fields`."""
    return fields_of(signer.head(fields).unsigned((), body_hash, AT).by_itself())


def digest(signer: Signer | None = None) -> bytes:
    """Return a plain digest."""
    return samples.composer().compose(samples.reader(mailto=True), envelope(), signer).content


def digests(signer: Signer | None = None) -> list[bytes]:
    """Return digests in all languages, of all sorts of articles, for all sorts of readers."""
    made = []
    for seed, language in enumerate(("en", "de", "fr", "es", "ar")):
        chance = random.Random(seed)
        cards = [samples.hostile_card(number, chance) for number in range(10)]
        names = chance.sample(samples.HOSTILE, 4)
        frame = samples.frame(language, cadence_name=names[0])
        composer = DigestComposer(samples.FACTS, frame, samples.categories(names), cards)
        for number in range(4):
            to = chance.choice(("anna@example.org", "b.c+d@übersee.example", "jörg@example.org"))
            reader = samples.reader(*samples.random_sections(chance, 10), mailto=chance.random() < 0.5)
            made.append(composer.compose(reader, envelope(10 * seed + number, to), signer).content)
    return made


def system_mails(signer: Signer | None = None) -> list[bytes]:
    """Return the mails that answer a sign-up."""
    links = ConfirmationLinks("https://news.example.org/confirm/abc", "https://news.example.org/not-me/abc")
    mails = (
        confirmation(samples.FACTS, "de", links, datetime.timedelta(hours=48)),
        already_subscribed(samples.FACTS, "ar", "https://news.example.org/preferences/abc"),
    )
    return [encode(samples.FACTS, mail, envelope(1000 + at), signer).content for at, mail in enumerate(mails)]


def envelope(number: int = 1, to: str = "anna@example.org") -> Envelope:
    """Return the envelope of a delivery that is offered now."""
    return samples.envelope(number, to)._replace(date=AT)
