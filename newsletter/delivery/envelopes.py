"""MAIL and RCPT in the words that this relay understands: each extension only where it was offered (standards S1, S2).

Made ready once a connection, as it is written for every message.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from newsletter.delivery.replies import Failure, Outcome, Verdict

_UNSAFE: Final = re.compile(r"[\x00-\x20<>\x7f\ud800-\udfff]")
"""What would end an address or a command: no address of ours has it, and none may smuggle a command in."""
_NOT_XTEXT: Final = re.compile(r"[^!-*,-<>-~]")
_NOT_UNITEXT: Final = re.compile(r"[^!-*,-<>-\[\]-~]")


class Envelopes:
    """Writes envelopes for one connection, whose relay offered `extensions` (keyword in capitals to parameters)."""

    def __init__(self, extensions: Mapping[str, str]) -> None:
        limit = extensions.get("SIZE", "")
        self._limit = int(limit) if limit.isdecimal() and len(limit) < 20 else 0
        self._size = "SIZE" in extensions
        self._utf8 = "SMTPUTF8" in extensions
        self._eight_bit = "8BITMIME" in extensions
        self._dsn = "DSN" in extensions

    def write(
        self, key: int, sender: str, recipient: str, pieces: Sequence[bytes], *, utf8: bool = False
    ) -> bytes | Outcome:
        """Return the commands MAIL, RCPT and DATA; or why this relay cannot be offered the message.

        `key` comes back in bounces as their Original-Envelope-Id. `pieces` are what will follow DATA; `utf8` says that
        its header needs SMTPUTF8 (RFC 6531), as an address beyond ASCII always does, and so may hold bytes over 127.
        """
        if _is_unsafe(sender + recipient):
            return _unsendable("the address cannot be written in SMTP", Failure.ADDRESS)
        parameters = of_recipient = ""
        if self._size:
            size = sum(map(len, pieces))
            if 0 < self._limit < size:
                return _unsendable("the message is larger than the relay takes", Failure.BUG)
            parameters = f" SIZE={size}"
        if utf8 or not (recipient.isascii() and sender.isascii()):
            if not self._utf8:
                return _unsendable("the relay cannot take this address (no SMTPUTF8)", Failure.ADDRESS)
            if not all(piece.isascii() for piece in pieces):
                if not self._eight_bit:
                    return _unsendable("the relay takes no 8-bit content (no 8BITMIME)", Failure.BUG)
                parameters += " BODY=8BITMIME"
            parameters += " SMTPUTF8"
        if self._dsn:
            parameters += f" RET=HDRS ENVID={key}"
            of_recipient = f" NOTIFY=FAILURE ORCPT={original_recipient(recipient)}"
        return f"MAIL FROM:<{sender}>{parameters}\r\nRCPT TO:<{recipient}>{of_recipient}\r\nDATA\r\n".encode()


def original_recipient(address: str) -> str:
    """Return an address as ORCPT wants it: xtext (RFC 3461 section 4), or beyond ASCII utf-8-addr-xtext (RFC 6533)."""
    if address.isascii():
        if not ("+" in address or "=" in address or _is_unsafe(address)):  # the rule by far, and much faster
            return f"rfc822;{address}"
        return "rfc822;" + _NOT_XTEXT.sub(lambda found: f"+{ord(found[0]):02X}", address)
    return "utf-8;" + _NOT_UNITEXT.sub(lambda found: f"\\x{{{ord(found[0]):02X}}}", address)


def _is_unsafe(text: str) -> bool:
    plainly_safe = text.isprintable() and not (" " in text or "<" in text or ">" in text)
    return not plainly_safe and _UNSAFE.search(text) is not None


def _unsendable(why: str, failure: Failure) -> Outcome:
    return Outcome(Verdict.UNSENDABLE, None, why, failure)
