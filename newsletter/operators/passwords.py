"""Operators' passwords: what is asked of a new one, how it is kept, how a given one is compared.

argon2id in OWASP's second profile (19 MiB, two passes, one lane): about 30 ms, and little memory for each sign-in
that happens at the same time.
"""

import functools
import threading
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from newsletter.foundation.errors import InvalidError

SHORTEST: Final = 12
LONGEST: Final = 200
_DIFFERENT: Final = 5
_argon2: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_room: Final = threading.BoundedSemaphore(4)
"""How many are compared at once in one process: a flood of sign-ins waits instead of taking all memory."""


def hashed(password: str, login: str) -> str:
    """Return what is stored for `password`. Raises InvalidError with the reason when it is too weak."""
    if len(password) < SHORTEST:
        raise InvalidError(f"The password needs at least {SHORTEST} characters. Some words in a row do well.")
    if len(password) > LONGEST:
        raise InvalidError(f"The password may have at most {LONGEST} characters.")
    if len(set(password)) < _DIFFERENT or password.casefold() in (login.casefold(), login.casefold() * 2):
        raise InvalidError("This password is too easy to guess. Some words in a row do well.")
    return _argon2.hash(password)


def matches(stored: str | None, password: str) -> bool:
    """Return whether `password` is the stored one. Without an operator it takes as long, and the answer is no."""
    with _room:
        nobodys = _nobodys()  # made in both cases, as the first time takes long
        try:
            _argon2.verify(stored or nobodys, password[: LONGEST + 1])
        except (VerificationError, InvalidHashError):
            return False
    return stored is not None


def outdated(stored: str) -> bool:
    """Return whether `stored` was made with other parameters than today's."""
    return _argon2.check_needs_rehash(stored)


@functools.cache
def _nobodys() -> str:
    """Return what is compared where there is no such operator. Only who compares makes it: it takes 19 MiB."""
    return _argon2.hash("the password of nobody")
