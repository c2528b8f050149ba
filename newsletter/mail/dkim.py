"""DKIM signatures (RFC 6376; RFC 8463 for Ed25519): made last, over bytes that nobody touches after (standards A3).

Everything that does not differ from message to message, above all the h= list, is prepared once per set of field
names; beside the private key's own arithmetic nothing here takes time. Knows no table: whoever calls brings the keys.
"""

import datetime
import hashlib
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from newsletter.foundation.errors import InvalidError, RenderError
from newsletter.mail.headers import Field

NAME: Final = "DKIM-Signature"
VALID_FOR: Final = datetime.timedelta(days=10)
"""From t= to x= (standards A1): longer than any queue on the way keeps a mail, short for whoever would replay it."""
OVERSIGNED: Final = (
    "From",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Reply-To",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Sender",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Id",
    "Feedback-ID",
    "CFBL-Address",
    "CFBL-Feedback-ID",
)
"""Named once more than present, so that none can be added on the way (RFC 6376 section 8.15, standards A2)."""
_LEAST_BITS: Final = 2048
_LINE: Final = 76
_B64_LINE: Final = 72
_PADDING: Final = PKCS1v15()
_HASHED: Final = Prehashed(SHA256())


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and where its public half stands. Raises InvalidError for RSA under 2048 bits (RFC 8301)."""

    domain: str
    """d=, as A-labels in lower case."""
    selector: str
    private: RSAPrivateKey | Ed25519PrivateKey = field(repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.private, RSAPrivateKey) and self.private.key_size < _LEAST_BITS:
            raise InvalidError(f"An RSA key that signs mail has at least {_LEAST_BITS} bits.")

    @property
    def algorithm(self) -> str:
        """The a= tag."""
        return "rsa-sha256" if isinstance(self.private, RSAPrivateKey) else "ed25519-sha256"

    def sign(self, digest: bytes) -> bytes:
        """Return the signature of a SHA-256 digest (RFC 6376 section 3.3.1, RFC 8463 section 3)."""
        if isinstance(self.private, RSAPrivateKey):
            return self.private.sign(digest, _PADDING, _HASHED)
        return self.private.sign(digest)


class _Plan(NamedTuple):
    """What all messages with the same field names share."""

    sender: int
    """The place of From."""
    order: tuple[tuple[int, bytes], ...]
    """The fields in the order of h=: place, and canonical name with its colon."""
    beginnings: tuple[tuple[bytes, bytes], ...]
    """For each key the signature field until h=, as it is written and in canonical form."""


class Signer:
    """Signs mail from one domain, once with each key: RSA, and Ed25519 beside it where somebody asked for that."""

    def __init__(self, keys: Sequence[SigningKey]) -> None:
        """Take keys of one domain. Raises InvalidError unless RSA is among them: not everybody can read Ed25519."""
        domains = {key.domain for key in keys}
        if len(domains) != 1 or not any(isinstance(key.private, RSAPrivateKey) for key in keys):
            raise InvalidError("Mail is signed with an RSA key of its own domain, and may be with others beside it.")
        self.domain = domains.pop()
        self._keys = tuple(sorted(keys, key=lambda key: not isinstance(key.private, RSAPrivateKey)))
        self._senders = tuple(f"@{self.domain}{end}\r\n".encode() for end in (">", ""))
        self._plans: dict[tuple[str, ...], _Plan] = {}

    def sign(self, fields: Sequence[Field], body_hash: bytes, at: datetime.datetime) -> list[Field]:
        """Return the signature fields to put in front of `fields`, which are the whole head in its order.

        `body_hash` is the SHA-256 of the body in relaxed form, before dots are stuffed. White space in fields is
        spaces, tabs and folds only, as mail/headers.py makes them. Raises RenderError for mail from another domain.
        """
        names = tuple([field.name for field in fields])
        plan = self._plans.get(names) or self._plan(names)
        if not fields[plan.sender].line.endswith(self._senders):
            raise RenderError(f"The keys of {self.domain} sign no mail from another domain.")
        head = hashlib.sha256(
            b"".join(
                [name + b" ".join(fields[place].line[len(name) :].split()) + b"\r\n" for place, name in plan.order]
            )
        )
        begun = int(at.timestamp())
        times = b"t=%d; x=%d;" % (begun, begun + VALID_FOR.total_seconds())
        body = b64encode(body_hash)
        signatures = []
        for key, (written, canonical) in zip(self._keys, plan.beginnings, strict=True):
            hashed = head.copy()
            hashed.update(b"%s %s bh=%s; b=" % (canonical, times, body))
            signature = b64encode(key.sign(hashed.digest()))
            lines = [signature[start : start + _B64_LINE] for start in range(0, len(signature), _B64_LINE)]
            line = b"%s\r\n %s\r\n bh=%s;\r\n b=%s\r\n" % (written, times, body, b"\r\n ".join(lines))
            signatures.append(Field(NAME, line))
        return signatures

    def _plan(self, names: tuple[str, ...]) -> _Plan:
        places: dict[str, list[int]] = {name.lower(): [] for name in OVERSIGNED}
        for place, name in enumerate(names):
            # Of several with one name the last is signed first (RFC 6376 section 5.4.2).
            places.setdefault(name.lower(), []).insert(0, place)
        if len(places["from"]) != 1:
            raise RenderError("A mail has one From field.")
        spelled = {name.lower(): name for name in (*names, *OVERSIGNED)}
        oversigned = {name.lower() for name in OVERSIGNED}
        listed = [spelled[name] for name in places for _ in range(len(places[name]) + (name in oversigned))]
        written = [self._beginning(key, listed) for key in self._keys]
        plan = self._plans[names] = _Plan(
            places["from"][0],
            tuple((place, f"{name}:".encode()) for name, found in places.items() for place in found),
            tuple((line, _relaxed(line)) for line in written),
        )
        return plan

    def _beginning(self, key: SigningKey, signed: Sequence[str]) -> bytes:
        """Return the signature field until h=, folded where RFC 6376 section 3.5 has white space."""
        tags = ["v=1;", f"a={key.algorithm};", "c=relaxed/relaxed;", f"d={key.domain};", f"s={key.selector};"]
        names = ":\n".join(signed).split("\n")
        names[0], names[-1] = f"h={names[0]}", f"{names[-1]};"
        lines = [f"{NAME}:"]
        for word, gap in [*((tag, " ") for tag in tags), (names[0], " "), *((name, "") for name in names[1:])]:
            if len(lines[-1]) + len(gap) + len(word) > _LINE:
                lines.append(f" {word}")
            else:
                lines[-1] += gap + word
        return "\r\n".join(lines).encode()


def _relaxed(line: bytes) -> bytes:
    name, _, value = line.partition(b":")
    return name.lower() + b":" + b" ".join(value.split())
