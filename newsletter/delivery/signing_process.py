"""The other side of signers.py: sign digests from stdin until it closes.

Run as `python -m newsletter.delivery.signing_process`. A question is a private key (PKCS #8, DER) and a row of SHA-256
digests; the answer is their signatures in a row. Keys come through the pipe alone and stay in memory.
"""

import signal
from typing import Final

from cryptography.hazmat.primitives.serialization import load_der_private_key

from newsletter.foundation.children import pipes, read_frame, write_frame
from newsletter.mail.dkim import PrivateKey, arithmetic

DIGEST: Final = 32


def main() -> None:
    """Serve until stdin closes."""
    for number in (signal.SIGINT, signal.SIGTERM):  # our parent finishes what is under way first, and then closes it
        signal.signal(number, signal.SIG_IGN)
    questions, answers = pipes()
    keys: dict[bytes, PrivateKey] = {}
    while (der := read_frame(questions)) is not None and (digests := read_frame(questions)) is not None:
        key = keys.get(der) or keys.setdefault(der, _load(der))
        write_frame(
            answers,
            b"".join([arithmetic(key, digests[at : at + DIGEST]) for at in range(0, len(digests), DIGEST)]),
        )


def _load(der: bytes) -> PrivateKey:
    # It has been checked when it was made: to try its primes again would take 50 ms.
    key = load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, PrivateKey)
    return key


if __name__ == "__main__":
    main()
