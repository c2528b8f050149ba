"""Secrets at rest and keyed hashes.

What must be read again (a source's password) is encrypted under the data keys; what must only be recognised again (a
suppressed address, the counter of a mail cap) is a keyed hash under a key that never changes.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr

from newsletter.foundation.errors import InvalidError


class Vault:
    """Encrypts with the newest data key and decrypts with any (Fernet: AES-128-CBC with HMAC-SHA-256)."""

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        derived = [hashlib.sha256(b"newsletter vault" + key.get_secret_value().encode()).digest() for key in keys]
        self._fernet = MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in reversed(derived)])

    def seal(self, secret: str) -> str:
        """Return `secret` encrypted, as text."""
        return self._fernet.encrypt(secret.encode()).decode()

    def open(self, sealed: str) -> str:
        """Return what was sealed. Raises InvalidError when no key fits."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise InvalidError("A stored secret cannot be read: its key is missing from the data keys.") from None


class Hasher:
    """Keyed hashes (HMAC-SHA-256, 128 bits as hex) that tell nothing without the key."""

    def __init__(self, key: SecretStr) -> None:
        self._base = hmac.new(key.get_secret_value().encode(), digestmod="sha256")

    def digest(self, purpose: str, value: str) -> str:
        """Return the hash of `value` for `purpose`: 32 hexadecimal characters."""
        mac = self._base.copy()
        mac.update(f"{purpose}\0{value}".encode())
        return mac.hexdigest()[:32]
