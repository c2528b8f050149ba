"""Timed tokens for forms, confirmation and sign-in: one salt and one lifetime per purpose; ids, never an address."""

import enum
import hashlib
from collections.abc import Sequence
from typing import Any, Final

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer
from pydantic import SecretStr

from newsletter.foundation.errors import TokenError, TokenExpiredError
from newsletter.foundation.languages import N_

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


class Purpose(enum.Enum):
    """What a token is for: its salt, and its lifetime in seconds."""

    CONFIRM = ("confirm", 2 * DAY)
    NOT_ME = ("not-me", 60 * DAY)
    SIGNUP_FORM = ("signup-form", DAY)
    UNDO = ("undo", 7 * DAY)

    def __init__(self, salt: str, lifetime: int) -> None:
        self.salt = f"newsletter.{salt}"
        self.lifetime = lifetime


class Tokens:
    """Makes and reads tokens with a ring of keys, oldest first; the last one signs."""

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        secrets = [key.get_secret_value() for key in keys]
        self._serializers = {
            purpose: URLSafeTimedSerializer(
                secrets,
                salt=purpose.salt,
                signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
            )
            for purpose in Purpose
        }

    def make(self, purpose: Purpose, payload: int | str | list[Any]) -> str:
        """Return a URL-safe token for `purpose` that carries `payload` (ids, no personal data), readable but signed."""
        return str(self._serializers[purpose].dumps(payload))

    def read(self, purpose: Purpose, token: str, *, expired_too: bool = False) -> Any:
        """Return the payload. Raises TokenExpiredError past the purpose's lifetime, TokenError for anything else."""
        try:
            return self._serializers[purpose].loads(token, max_age=None if expired_too else purpose.lifetime)
        except SignatureExpired:
            raise TokenExpiredError(N_("This link has expired.")) from None
        except BadSignature:
            raise TokenError("This link is not valid. It may have been cut off; please copy the whole of it.") from None
