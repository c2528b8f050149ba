"""Links in mails: the public URL plus a packed, signed, opaque token that never expires.

A mail carries four of them and a digest goes to very many readers, so a token is a few bytes of ids and a truncated
HMAC-SHA-256 (128 bits, RFC 2104 section 5) under a key derived once per purpose: about 3 µs each. The first byte names
the key, so that links stay valid for ever when keys are rotated.
"""

import base64
import enum
import functools
import hashlib
import hmac
from collections.abc import Sequence

from pydantic import SecretStr

from newsletter.foundation.errors import SettingsError, TokenError

_MAC = 16


class Link(enum.Enum):
    """What a link in a mail is for. The value is its path; a token made for one is refused by all others."""

    ONE_CLICK = "u"
    """List-Unsubscribe: a POST ends the subscriptions at once (RFC 8058)."""
    LEAVE = "leave"
    """The visible link to the page with the button."""
    PREFERENCES = "preferences"
    RETURN_PATH = "b"
    """Not a page: the local part of the envelope sender."""


class Links:
    """Makes and reads the links of one publication."""

    def __init__(self, public_url: str, keys: Sequence[SecretStr]) -> None:
        """Raise SettingsError when two keys share their id: the newer would silently end the older one's links."""
        if len({_key_id(key) for key in keys}) < len(keys):
            raise SettingsError(
                "NEWSLETTER_LINK_KEYS holds a key twice, or two that links cannot tell apart. Make the new one again."
            )
        self.public_url = public_url
        self._rings = {
            link: {
                _key_id(key): hmac.new(key.get_secret_value().encode(), f"newsletter.{link.value}".encode(), "sha256")
                for key in keys
            }
            for link in Link
        }
        self._current = {link: list(ring.items())[-1] for link, ring in self._rings.items()}

    def page(self, path: str) -> str:
        """Return the absolute URL of one of our pages."""
        return f"{self.public_url}/{path.lstrip('/')}"

    def make(self, link: Link, *ids: int) -> str:
        """Return the absolute URL for `link` that carries `ids`."""
        return f"{self.public_url}/{link.value}/{self.token(link, *ids)}"

    def token(self, link: Link, *ids: int) -> str:
        """Return the token alone: URL-safe base64 without padding."""
        key_id, base = self._current[link]
        body = bytes((key_id,)) + b"".join(map(_pack, ids))
        return base64.urlsafe_b64encode(body + _mac(base, body)).rstrip(b"=").decode()

    def read(self, link: Link, token: str) -> tuple[int, ...]:
        """Return the ids in `token`. Raises TokenError without telling why."""
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            body, mac = raw[:-_MAC], raw[-_MAC:]
            if len(mac) == _MAC and hmac.compare_digest(mac, _mac(self._rings[link][body[0]], body)):
                return _unpack(body[1:])
        except (ValueError, KeyError, IndexError):
            pass
        raise TokenError("This link is not valid. It may have been cut off; please copy the whole of it.")

    def return_path(self, delivery_id: int, domain: str) -> str:
        """Return the envelope sender that names the delivery: base32 in lower case, since servers may fold it."""
        key_id, base = self._current[Link.RETURN_PATH]
        body = bytes((key_id,)) + _pack(delivery_id)
        return f"b+{base64.b32encode(body + _mac(base, body)[:10]).decode().rstrip('=').lower()}@{domain}"

    def read_return_path(self, local_part: str) -> int:
        """Return the delivery id in the local part of an envelope sender. Raises TokenError."""
        try:
            encoded = local_part.lower().removeprefix("b+").upper()
            raw = base64.b32decode(encoded + "=" * (-len(encoded) % 8))
            body, mac = raw[:-10], raw[-10:]
            if hmac.compare_digest(mac, _mac(self._rings[Link.RETURN_PATH][body[0]], body)[:10]):
                return _unpack(body[1:])[0]
        except (ValueError, KeyError, IndexError):
            pass
        raise TokenError("Not an address that we made.")


@functools.cache
def _key_id(key: SecretStr) -> int:
    return hashlib.sha256(b"newsletter key id" + key.get_secret_value().encode()).digest()[0]


def _mac(base: hmac.HMAC, body: bytes) -> bytes:
    mac = base.copy()
    mac.update(body)
    return mac.digest()[:_MAC]


def _pack(number: int) -> bytes:
    """Write a non-negative integer as a base-128 varint, lowest group first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
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
