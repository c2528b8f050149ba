"""Read a message for people: its headers decoded, its HTML and text parts. Whatever came in, something can be shown."""

import email.errors
import email.header
import email.policy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Final

HEAD: Final = 64 * 1024
"""Bytes of a message that are read to show it in a list."""


@dataclass(frozen=True)
class Reading:
    """A message as it can be shown; nothing in it is safe HTML."""

    headers: list[tuple[str, str]]
    html: str | None
    text: str | None

    def header(self, name: str) -> str:
        """Return the first header called `name`, or nothing."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


def read(raw: bytes) -> Reading:
    """Take a message apart."""
    message = email.message_from_bytes(raw, policy=email.policy.compat32)
    # The raw headers, because the parsed ones give up on what a hostile or broken sender can write.
    headers = [(name, _decoded(value)) for name, value in message.raw_items()]
    return Reading(headers, _part(message, "text/html"), _part(message, "text/plain"))


def subject(path: Path) -> str:
    """Return a stored message's subject, reading no more than its head."""
    try:
        with path.open("rb") as file:
            return read(file.read(HEAD).partition(b"\r\n\r\n")[0]).header("Subject")
    except FileNotFoundError:  # it has just made room for a newer one
        return ""


def _decoded(value: object) -> str:
    unfolded = re.sub(r"\r?\n(?=[ \t])", "", str(value)).encode("ascii", "surrogateescape").decode("utf-8", "replace")
    try:
        return str(email.header.make_header(email.header.decode_header(unfolded)))
    except (LookupError, ValueError, email.errors.MessageError):
        return unfolded


def _part(message: Message, kind: str) -> str | None:
    for part in _inline(message):
        if part.get_content_type() == kind:
            payload = part.get_payload(decode=True)
            raw = payload if isinstance(payload, bytes) else b""
            try:
                return raw.decode(part.get_content_charset() or "utf-8", "replace")
            except LookupError:  # a character set that nobody knows
                return raw.decode("utf-8", "replace")
    return None


def _inline(message: Message) -> Iterator[Message]:
    return (
        part for part in message.walk() if not part.is_multipart() and part.get_content_disposition() != "attachment"
    )
