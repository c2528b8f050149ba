"""Pieces of a mail that are made once and joined many times.

A fragment keeps its words and their quoted-printable bytes. Bytes of fragments can be joined as they are: each ends
with a line, its own or one that a soft line break (RFC 2045 section 6.7) undoes. A pattern is a rendered template
with slots; filling it encodes nothing but what is new.
"""

import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_SLOT: Final = re.compile("\ue000([a-z_]+)\ue001")
"""Private-use characters, which cleaning takes out of all words."""
_MAX_LINE: Final = 76


@dataclass(frozen=True, slots=True)
class Fragment:
    """Some words of a part, in both their forms."""

    words: str
    wire: bytes

    @classmethod
    def of(cls, words: str) -> "Fragment":
        """Encode `words` (lines ended by LF)."""
        # Soft line breaks come with the line ends of the input, so CRLF is made of both afterwards.
        return cls(words, _sealed(binascii.b2a_qp(words.encode()).replace(b"\n", b"\r\n")))


class Pattern:
    """A rendered template with slots for what differs."""

    def __init__(self, rendered: str) -> None:
        parts = _SLOT.split(rendered)
        self._first = Fragment.of(parts[0])
        self._rest = [(slot, Fragment.of(words)) for slot, words in zip(parts[1::2], parts[2::2], strict=True)]
        self.size = len(self._first.wire) + sum(len(fixed.wire) for _, fixed in self._rest)
        """Encoded bytes without what goes into the slots."""

    def fill(self, values: Mapping[str, Sequence[Fragment]]) -> list[Fragment]:
        """Return the fragments in order, with those of `values` in the slots named so."""
        filled = [self._first]
        for slot, fixed in self._rest:
            filled += values[slot]
            filled.append(fixed)
        return filled


def slot(name: str) -> str:
    """Return the mark that a template leaves where a pattern has the slot `name`."""
    return f"\ue000{name}\ue001"


def words(fragments: Iterable[Fragment]) -> str:
    """Join the readable form."""
    return "".join([fragment.words for fragment in fragments])


def size(fragments: Iterable[Fragment]) -> int:
    """Return the encoded size in bytes."""
    return sum([len(fragment.wire) for fragment in fragments])


def _sealed(encoded: bytes) -> bytes:
    """End quoted-printable bytes with a line, softly where they have none, within 76 columns."""
    if not encoded or encoded.endswith(b"\n"):
        return encoded
    if len(encoded) - encoded.rfind(b"\n") - 1 < _MAX_LINE:
        return encoded + b"=\r\n"
    last = 3 if encoded[-3:-2] == b"=" else 1
    return encoded[:-last] + b"=\r\n" + encoded[-last:] + b"=\r\n"
