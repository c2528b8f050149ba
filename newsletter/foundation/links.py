"""Links in mails: the public URL plus a packed, signed, opaque token that never expires.

A mail carries four of them and a digest goes to very many readers. So a token is a few bytes of ids and 120 bits of a
keyed BLAKE2b (RFC 7693), of whose 64 bytes each purpose has its own: one hash signs all links of a digest. The byte
before the ids names the key, so that links stay valid for ever when keys are rotated.
"""

import base64
import binascii
import enum
import functools
import hashlib
import hmac
import struct
from collections.abc import Sequence
from typing import Final

from pydantic import SecretStr

from newsletter.foundation.errors import SettingsError, TokenError

_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_MAC: Final = 15
"""Bytes: whole groups of base64, so that what is encoded in one go is cut between signs."""
_SIGNS: Final = 20
_USUAL: Final = struct.Struct(">BIHI")
"""Key and ids of a digest's reader, cadence and delivery. Other ids, and larger ones, take eight bytes each."""
_ALONE: Final = struct.Struct(">BQ")


class Link(enum.Enum):
    """What a link in a mail is for. The value is its path; a token made for one is refused by all others."""

    ONE_CLICK = "u"
    """List-Unsubscribe: a POST ends the subscriptions at once (RFC 8058)."""
    LEAVE = "leave"
    """The visible link to the page with the button."""
    PREFERENCES = "preferences"
    RETURN_PATH = "b"
    """Not a page: the local part of the envelope sender."""


_OF_RETURN_PATH: Final = slice(3 * _MAC, 3 * _MAC + 10)
_PARTS: Final = {
    Link.ONE_CLICK: slice(_MAC),
    Link.LEAVE: slice(_MAC, 2 * _MAC),
    Link.PREFERENCES: slice(2 * _MAC, 3 * _MAC),
    Link.RETURN_PATH: _OF_RETURN_PATH,
}
"""Which bytes of the hash are whose. They tell nothing of each other."""


class _Key:
    """One of the link keys."""

    def __init__(self, secret: SecretStr) -> None:
        self.id = _key_id(secret)
        # A key of BLAKE2b has at most 64 bytes; the hash of ours has them, whatever its length.
        key = hashlib.blake2b(secret.get_secret_value().encode(), person=b"newsletter key").digest()
        self._begun = hashlib.blake2b(key=key, person=b"newsletter link")

    def hash(self, body: bytes) -> bytes:
        """Return 64 bytes that nobody can tell without the key."""
        begun = self._begun.copy()
        begun.update(body)
        return begun.digest()


class Links:
    """Makes and reads the links of one publication."""

    def __init__(self, public_url: str, keys: Sequence[SecretStr]) -> None:
        """Raise SettingsError when two keys share their id: the newer would silently end the older one's links."""
        ring = [_Key(key) for key in keys]
        self._ring = {key.id: key for key in ring}
        if len(self._ring) < len(ring):
            raise SettingsError(
                "NEWSLETTER_LINK_KEYS holds a key twice, or two that links cannot tell apart. Make the new one again."
            )
        self.public_url = public_url
        self._current = ring[-1]
        in_digests = (Link.ONE_CLICK, Link.LEAVE, Link.PREFERENCES)
        self._one_click, self._leave, self._preferences = (f"{public_url}/{link.value}/" for link in in_digests)

    def page(self, path: str) -> str:
        """Return the absolute URL of one of our pages."""
        return f"{self.public_url}/{path.lstrip('/')}"

    def make(self, link: Link, *ids: int) -> str:
        """Return the absolute URL for `link` that carries `ids`."""
        return f"{self.public_url}/{link.value}/{self.token(link, *ids)}"

    def token(self, link: Link, *ids: int) -> str:
        """Return the token alone: URL-safe base64 without padding."""
        key = self._current
        body = _pack(key.id, *ids)
        return _encoded(key.hash(body)[_PARTS[link]] + body)

    def digest_links(self, subscriber_id: int, cadence_id: int, delivery_id: int) -> tuple[str, str, str, str]:
        """Return what `make` returns for one click, leaving and preferences, and the token in the first of them.

        One hash signs all three, and they are encoded in one go: a digest goes to very many.
        """
        key = self._current
        body = _pack(key.id, subscriber_id, cadence_id, delivery_id)
        text = _encoded(key.hash(body)[: 3 * _MAC] + body)
        packed = text[3 * _SIGNS :]
        token = text[:_SIGNS] + packed
        return (
            self._one_click + token,
            f"{self._leave}{text[_SIGNS : 2 * _SIGNS]}{packed}",
            f"{self._preferences}{text[2 * _SIGNS : 3 * _SIGNS]}{packed}",
            token,
        )

    def read(self, link: Link, token: str) -> tuple[int, ...]:
        """Return the ids in `token`. Raises TokenError without telling why."""
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            return self._read(link, raw)
        except (ValueError, KeyError, IndexError):
            raise TokenError("This link is not valid. It may have been cut off; please copy the whole of it.") from None

    def return_path(self, delivery_id: int, domain: str) -> str:
        """Return the envelope sender that names the delivery: in hex, since servers may fold its case."""
        key = self._current
        body = _ALONE.pack(key.id, delivery_id)
        return f"b+{(key.hash(body)[_OF_RETURN_PATH] + body).hex()}@{domain}"

    def read_return_path(self, local_part: str) -> int:
        """Return the delivery id in the local part of an envelope sender. Raises TokenError."""
        try:
            return self._read(Link.RETURN_PATH, bytes.fromhex(local_part.lower().removeprefix("b+")))[0]
        except (ValueError, KeyError, IndexError):
            raise TokenError("Not an address that we made.") from None

    def _read(self, link: Link, raw: bytes) -> tuple[int, ...]:
        """Return the ids behind a MAC. Raises ValueError, KeyError or IndexError."""
        part = _PARTS[link]
        length = part.stop - (part.start or 0)
        mac, body = raw[:length], raw[length:]
        if not hmac.compare_digest(mac, self._ring[body[0]].hash(body)[part]):
            raise ValueError("not ours")
        return _unpack(body)


@functools.cache
def _key_id(key: SecretStr) -> int:
    return hashlib.sha256(b"newsletter key id" + key.get_secret_value().encode()).digest()[0]


def _encoded(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).translate(_URL_SAFE, b"=").decode()


def _pack(key_id: int, *ids: int) -> bytes:
    try:
        return _USUAL.pack(key_id, *ids)
    except struct.error:  # not three, or larger than usual
        return struct.pack(f">B{len(ids)}Q", key_id, *ids)


def _unpack(body: bytes) -> tuple[int, ...]:
    """Return the ids without the key's: what `_pack` packed."""
    form = _USUAL if len(body) == _USUAL.size else struct.Struct(f">B{len(body) // 8}Q")
    return form.unpack(body)[1:]
