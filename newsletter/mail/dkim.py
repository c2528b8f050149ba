"""DKIM signatures (RFC 6376; RFC 8463 for Ed25519): made last, over bytes that nobody touches after (standards A3).

Everything that messages share, above all the h= list and the hash of the fields that they have in common, is prepared
once; beside the private key's own arithmetic nothing here takes time. Knows no table: whoever calls brings the keys.
"""

import datetime
import hashlib
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from newsletter.foundation.errors import InvalidError, RenderError
from newsletter.mail.headers import Field

_NAME: Final = "DKIM-Signature"
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

PrivateKey = RSAPrivateKey | Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and where its public half stands. Raises InvalidError for RSA under 2048 bits (RFC 8301)."""

    domain: str
    """d=, as A-labels in lower case."""
    selector: str
    private: PrivateKey = field(repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.private, RSAPrivateKey) and self.private.key_size < _LEAST_BITS:
            raise InvalidError(f"An RSA key that signs mail has at least {_LEAST_BITS} bits.")

    @property
    def algorithm(self) -> str:
        """The a= tag."""
        return "rsa-sha256" if isinstance(self.private, RSAPrivateKey) else "ed25519-sha256"

    def sign(self, digest: bytes) -> bytes:
        """Return the signature of a SHA-256 digest."""
        return arithmetic(self.private, digest)

    def der(self) -> bytes:
        """Return the private key as PKCS #8, for another process of ours."""
        return self.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def arithmetic(key: PrivateKey, digest: bytes) -> bytes:
    """Return the signature of a SHA-256 digest (RFC 6376 section 3.3.1, RFC 8463 section 3)."""
    if isinstance(key, RSAPrivateKey):
        return key.sign(digest, _PADDING, _HASHED)
    return key.sign(digest)


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

    def head(self, shared: Sequence[Field], own: Sequence[str] = ()) -> "SharedHead":
        """Begin with the fields that some messages share; `own` names those that each has besides, one of each name.

        White space in fields is spaces, tabs and folds only, as mail/headers.py makes them. Raises RenderError for mail
        from another domain.
        """
        places: dict[str, list[Field]] = {}
        for field_ in shared:
            # Of several with one name the last is signed first (RFC 6376 section 5.4.2).
            places.setdefault(field_.name.lower(), []).insert(0, field_)
        senders = places.get("from", ())
        if len(senders) != 1:
            raise RenderError("A mail has one From field.")
        if not senders[0].line.endswith(self._senders):
            raise RenderError(f"The keys of {self.domain} sign no mail from another domain.")
        in_order = [field_ for found in places.values() for field_ in found]
        listed = [*(field_.name for field_ in in_order), *own, *OVERSIGNED]
        beginnings = [self._beginning(key, listed) for key in self._keys]
        return SharedHead(self._keys, beginnings, hashlib.sha256(b"".join([_relaxed(one.line) for one in in_order])))

    def _beginning(self, key: SigningKey, signed: Sequence[str]) -> bytes:
        """Return the signature field until h=, folded where RFC 6376 section 3.5 has white space."""
        tags = ["v=1;", f"a={key.algorithm};", "c=relaxed/relaxed;", f"d={key.domain};", f"s={key.selector};"]
        names = ":\n".join(signed).split("\n")
        names[0], names[-1] = f"h={names[0]}", f"{names[-1]};"
        lines = [f"{_NAME}:"]
        for word, gap in [*((tag, " ") for tag in tags), (names[0], " "), *((name, "") for name in names[1:])]:
            if len(lines[-1]) + len(gap) + len(word) > _LINE:
                lines.append(f" {word}")
            else:
                lines[-1] += gap + word
        return "\r\n".join(lines).encode()


class SharedHead:
    """What the signatures of messages with most fields in common share: those fields come first in h=."""

    def __init__(self, keys: Sequence[SigningKey], beginnings: Sequence[bytes], hashed: "hashlib._Hash") -> None:
        """Take for each key its field until h=, and the hash of the shared fields."""
        canonical = [_relaxed(line).removesuffix(b"\r\n") for line in beginnings]
        self._keys = list(zip(keys, beginnings, canonical, strict=True))
        self._hashed = hashed

    def unsigned(self, own: Sequence[Field], body_hash: bytes, at: datetime.datetime) -> "Unsigned":
        """Return the signature fields of a message but for the keys' arithmetic, which takes longer than all else.

        `own`: the message's own fields, in the order of their names. `body_hash`: the SHA-256 of the body in relaxed
        form, before dots are stuffed.
        """
        head = self._hashed.copy()
        head.update(b"".join([_relaxed(one.line) for one in own]))
        begun = int(at.timestamp())
        times = b"t=%d; x=%d;" % (begun, begun + VALID_FOR.total_seconds())
        body = b64encode(body_hash)
        wanted, written = [], []
        for key, line, canonical in self._keys:
            hashed = head.copy()
            hashed.update(b"%s %s bh=%s; b=" % (canonical, times, body))
            wanted.append((key, hashed.digest()))
            written.append(b"%s\r\n %s\r\n bh=%s;\r\n b=" % (line, times, body))
        return Unsigned(wanted, written)


class Unsigned(NamedTuple):
    """Signature fields that lack their signatures."""

    wanted: Sequence[tuple[SigningKey, bytes]]
    """Which key is to sign which digest."""
    written: Sequence[bytes]
    """Each field as far as it goes."""

    def signed(self, signatures: Iterator[bytes]) -> bytes:
        """Return the fields; what is `wanted` is taken from `signatures`."""
        return b"".join([b"%s%s\r\n" % (line, _folded(next(signatures))) for line in self.written])

    def by_itself(self) -> bytes:
        """Return the fields, signed here and now."""
        return self.signed(key.sign(digest) for key, digest in self.wanted)


def _folded(signature: bytes) -> bytes:
    text = b64encode(signature)
    return b"\r\n ".join([text[start : start + _B64_LINE] for start in range(0, len(text), _B64_LINE)])


def _relaxed(line: bytes) -> bytes:
    """Return a field in relaxed form, with its line end (RFC 6376 section 3.4.2)."""
    name, _, value = line.partition(b":")
    return name.lower() + b":" + b" ".join(value.split()) + b"\r\n"
