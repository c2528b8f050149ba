"""Links in mails: the public URL plus a packed, signed, opaque token that never expires.

A mail carries four of them and a digest goes to very many readers, so a token is a few bytes of ids and a truncated
HMAC-SHA-256 (128 bits, RFC 2104 section 5) under a key prepared once per purpose: under 2 µs each. The first byte names
the key, so that links stay valid for ever when keys are rotated.
"""

import base64
import binascii
import enum
import functools
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final, NamedTuple

from pydantic import SecretStr

from newsletter.foundation.errors import SettingsError, TokenError

_MAC: Final = 16
_RETURN_MAC: Final = 10
_BLOCK: Final = 64
"""Bytes that SHA-256 takes at a time, and so the length of an HMAC key (RFC 2104 section 2)."""
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


class Link(enum.Enum):
    """What a link in a mail is for. The value is its path; a token made for one is refused by all others."""

    ONE_CLICK = "u"
    """List-Unsubscribe: a POST ends the subscriptions at once (RFC 8058)."""
    LEAVE = "leave"
    """The visible link to the page with the button."""
    PREFERENCES = "preferences"
    RETURN_PATH = "b"
    """Not a page: the local part of the envelope sender."""


class DigestLinks(NamedTuple):
    """What a digest's reader can follow, and the token in the first of them, for a mail address that does the same."""

    one_click: str
    leave: str
    preferences: str
    token: str


class _Key:
    """HMAC-SHA-256 for one purpose with both passes begun (RFC 2104 section 4): a message costs their copies alone."""

    def __init__(self, secret: SecretStr, purpose: Link) -> None:
        key = secret.get_secret_value().encode()
        key = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key) + f"newsletter.{purpose.value}".encode())
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key))

    def mac(self, body: bytes) -> bytes:
        """Return its first 16 bytes."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(body)
        outer.update(inner.digest())
        return outer.digest()[:_MAC]


class Links:
    """Makes and reads the links of one publication."""

    def __init__(self, public_url: str, keys: Sequence[SecretStr]) -> None:
        """Raise SettingsError when two keys share their id: the newer would silently end the older one's links."""
        if len({_key_id(key) for key in keys}) < len(keys):
            raise SettingsError(
                "NEWSLETTER_LINK_KEYS holds a key twice, or two that links cannot tell apart. Make the new one again."
            )
        self.public_url = public_url
        self._rings = {link: {_key_id(key): _Key(key, link) for key in keys} for link in Link}
        self._current = {link: list(ring.values())[-1] for link, ring in self._rings.items()}
        self._key_id = bytes((_key_id(keys[-1]),))
        # An enum's hash is computed anew at each look-up, so what every mail needs stands apart.
        self._in_digests = [
            (f"{public_url}/{link.value}/", self._current[link])
            for link in (Link.ONE_CLICK, Link.LEAVE, Link.PREFERENCES)
        ]
        self._return_path = self._current[Link.RETURN_PATH]

    def page(self, path: str) -> str:
        """Return the absolute URL of one of our pages."""
        return f"{self.public_url}/{path.lstrip('/')}"

    def make(self, link: Link, *ids: int) -> str:
        """Return the absolute URL for `link` that carries `ids`."""
        return f"{self.public_url}/{link.value}/{self.token(link, *ids)}"

    def token(self, link: Link, *ids: int) -> str:
        """Return the token alone: URL-safe base64 without padding."""
        body = self._key_id + _pack(*ids)
        return _encoded(body + self._current[link].mac(body))

    def digest_links(self, subscriber_id: int, cadence_id: int, delivery_id: int) -> DigestLinks:
        """Return what `make` returns for each link of a digest; the ids are packed once for all."""
        body = self._key_id + _pack(subscriber_id, cadence_id, delivery_id)
        (one_click, first), (leave, second), (preferences, third) = self._in_digests
        # All in one piece: zero bytes up to whole groups of base64 leave the signs before them as they are.
        length = len(body) + _MAC
        gap = bytes(-length % 3)
        raw = (body, first.mac(body), gap, body, second.mac(body), gap, body, third.mac(body))
        signs, step = (length * 4 + 2) // 3, (length + len(gap)) * 4 // 3
        text = _encoded(b"".join(raw))
        token = text[:signs]
        return DigestLinks(
            one_click + token,
            leave + text[step : step + signs],
            preferences + text[2 * step : 2 * step + signs],
            token,
        )

    def read(self, link: Link, token: str) -> tuple[int, ...]:
        """Return the ids in `token`. Raises TokenError without telling why."""
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            body, mac = raw[:-_MAC], raw[-_MAC:]
            if len(mac) == _MAC and hmac.compare_digest(mac, self._rings[link][body[0]].mac(body)):
                return _unpack(body[1:])
        except (ValueError, KeyError, IndexError):
            pass
        raise TokenError("This link is not valid. It may have been cut off; please copy the whole of it.")

    def return_path(self, delivery_id: int, domain: str) -> str:
        """Return the envelope sender that names the delivery: in hex, since servers may fold its case."""
        body = self._key_id + _pack(delivery_id)
        return f"b+{(body + self._return_path.mac(body)[:_RETURN_MAC]).hex()}@{domain}"

    def read_return_path(self, local_part: str) -> int:
        """Return the delivery id in the local part of an envelope sender. Raises TokenError."""
        try:
            raw = bytes.fromhex(local_part.lower().removeprefix("b+"))
            body, mac = raw[:-_RETURN_MAC], raw[-_RETURN_MAC:]
            if hmac.compare_digest(mac, self._rings[Link.RETURN_PATH][body[0]].mac(body)[:_RETURN_MAC]):
                return _unpack(body[1:])[0]
        except (ValueError, KeyError, IndexError):
            pass
        raise TokenError("Not an address that we made.")


@functools.cache
def _key_id(key: SecretStr) -> int:
    return hashlib.sha256(b"newsletter key id" + key.get_secret_value().encode()).digest()[0]


def _encoded(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).translate(_URL_SAFE, b"=").decode()


def _pack(*numbers: int) -> bytes:
    """Write non-negative integers as base-128 varints, lowest group first."""
    out = bytearray()
    for number in numbers:
        rest = number
        while rest > 0x7F:
            out.append(rest & 0x7F | 0x80)
            rest >>= 7
        out.append(rest)
    return bytes(out)


def _unpack(packed: bytes) -> tuple[int, ...]:
    numbers, value, shift = [], 0, 0
    for byte in packed:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(value)
            value, shift = 0, 0
    if shift:
        raise ValueError("cut short")
    return tuple(numbers)
