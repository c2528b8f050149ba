"""Quoted-printable that can be joined (RFC 2045 section 6.7): pieces are encoded once and stand in many mails.

Each piece begins at the beginning of a line and ends with one, its own or one that a soft line break undoes, so that
bytes of pieces are joined as they are. What is written here goes through every later stage unchanged: no line begins
with a dot (SMTP would double it, RFC 5321 section 4.5.2) or with "From " (mailboxes would mark it), and none holds two
blanks in a row or one at its end (DKIM's relaxed form would drop them, RFC 6376 section 3.4.4).
"""

import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Final

_SLOT: Final = re.compile("\ue000([a-z0-9_]+)\ue001")
"""Private-use characters, which cleaning takes out of all words."""
_MARK: Final = b"\0"
"""Encloses a slot's name among encoded bytes, which never hold it."""
_SPECIAL: Final = re.compile(rb"[^\n -<>-~]|=| (?=[ \n])")
"""What is written as its number: all but printable ASCII, the sign for that itself, blanks that something might eat."""
_LINE: Final = re.compile(rb"(?=\.|From )..{0,72}(?<!=)(?<!=.)|.{1,75}(?<!=)(?<!=.)")
"""At most 75 columns that end between signs; with room where the first sign becomes its number."""
_FIRST: Final = {ord("."): b"=2E", ord("F"): b"=46"}
_NUMBERS: Final = {bytes((byte,)): b"=%02X" % byte for byte in range(256)}
_PLAIN: Final = bytes(byte for byte in range(0x20, 0x7F) if byte not in b"=.")
_COLUMNS: Final = 75


def encode(words: str, part: str = "") -> bytes:
    """Return `words` (lines ended by LF) encoded. Slots in them become marks for `Pattern`, named `part:slot`."""
    if "\ue000" not in words:
        return _encoded(words)
    first, *rest = _SLOT.split(words)
    wire = [_encoded(first)]
    for name, following in zip(rest[::2], rest[1::2], strict=True):
        wire += (_MARK, f"{part}:{name}".encode(), _MARK, _encoded(following))
    return b"".join(wire)


def decode(wire: bytes) -> str:
    """Return the words that `wire` holds, lines ended by LF."""
    return binascii.a2b_qp(wire.replace(b"\r\n", b"\n")).decode()


def slot(name: str) -> str:
    """Return the mark that a template leaves where something comes in later."""
    return f"\ue000{name}\ue001"


def mark(name: str) -> bytes:
    """Return what stands for a slot among encoded bytes."""
    return _MARK + name.encode() + _MARK


def has_slots(words: str) -> bool:
    """Tell whether something is to come into `words`."""
    return _SLOT.search(words) is not None


def fill(words: str, values: Mapping[str, str]) -> str:
    """Return `words` with its slots replaced by `values`."""
    return _SLOT.sub(lambda found: values[found[1]], words)


class Pattern:
    """Encoded bytes with places in between, where other encoded bytes come in."""

    def __init__(self, wire: bytes) -> None:
        self.parts = wire.split(_MARK)
        """Bytes and, at every second place, the name of a slot."""
        self.places = [(at, self.parts[at].decode()) for at in range(1, len(self.parts), 2)]

    def filled(self, values: Mapping[str, Sequence[bytes]]) -> bytes:
        """Return the whole with what `values` has for each slot; slots that it has nothing for stay."""
        parts = self.parts.copy()
        for at, name in self.places:
            parts[at] = b"".join(values[name]) if name in values else _MARK + parts[at] + _MARK
        return b"".join(parts)


def split(wire: bytes, name: str) -> list[bytes]:
    """Return `wire` in the pieces between which the slot `name` stands; other slots stay."""
    return wire.split(mark(name))


def size(wire: bytes, longest: Mapping[str, int]) -> int:
    """Return the most bytes that `wire` takes once its slots are filled; `longest` tells what may come into each."""
    if _MARK not in wire:
        return len(wire)
    pattern = Pattern(wire)
    return sum(map(len, pattern.parts[::2])) + sum(longest.get(name, 0) for _, name in pattern.places)


def _encoded(words: str) -> bytes:
    raw = words.encode()
    # Most pieces of a reader's own are a few plain words.
    if (
        0 < len(raw) <= _COLUMNS
        and not raw.translate(None, _PLAIN)
        and b"  " not in raw
        and not raw.startswith(b"From ")
    ):
        return raw + b"=\r\n"
    lines = _SPECIAL.sub(lambda found: _NUMBERS[found[0]], raw).split(b"\n")
    wire = [_wrapped(line) + b"\r\n" for line in lines[:-1]]
    if lines[-1]:
        wire.append(_wrapped(lines[-1]) + b"=\r\n")
    return b"".join(wire)


def _wrapped(line: bytes) -> bytes:
    return b"=\r\n".join(
        [
            _FIRST[chunk[0]] + chunk[1:] if chunk[0] == 0x2E or chunk.startswith(b"From ") else chunk
            for chunk in _LINE.findall(line)
        ]
    )
