"""Quoted-printable that can be joined: whatever is cut where, it decodes to the words."""

import quopri
import re

from hypothesis import given
from hypothesis import strategies as st

from newsletter.mail.fragments import Pattern, decode, encode, fill, size, slot

TRICKS = st.sampled_from(
    (".", "..", "From ", "=", "=\n", "  ", " \n", "\t", "\r", "é", "🚢", "я", "\n", "\n.\n", "=2E", "-_?X")
)
PIECES = st.lists(
    st.one_of(
        st.lists(TRICKS, max_size=60).map("".join), st.text(alphabet=st.sampled_from("a=é🚢. \n\t-_?Xя"), max_size=160)
    ),
    max_size=8,
)


def check(wire: bytes) -> None:
    """Look whether no later stage would change anything."""
    lines = wire.split(b"\r\n")
    assert max(map(len, lines)) <= 76
    assert not any(line.endswith((b" ", b"\t")) or line.startswith((b".", b"From ")) for line in lines)
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|=_|  |\t|\0", wire)
    assert wire.isascii()


@given(PIECES)
def test_joined_bytes_decode_to_joined_words(pieces: list[str]) -> None:
    wire = b"".join(map(encode, pieces))
    whole = "".join(pieces)
    assert quopri.decodestring(wire.replace(b"\r\n", b"\n")).decode() == whole
    assert decode(wire) == whole
    check(wire)


@given(PIECES, PIECES)
def test_a_filled_pattern_is_what_its_template_says(pieces: list[str], values: list[str]) -> None:
    wire = encode(slot("name").join(pieces), "txt")
    filled = Pattern(wire).filled({"txt:name": list(map(encode, values))})
    assert quopri.decodestring(filled.replace(b"\r\n", b"\n")).decode() == "".join(values).join(pieces)
    assert len(filled) == size(wire, {"txt:name": sum(len(encode(value)) for value in values)})
    assert fill(slot("name").join(pieces), {"name": "".join(values)}) == "".join(values).join(pieces)
    check(filled)


@given(PIECES)
def test_a_slot_without_a_value_stays_open(pieces: list[str]) -> None:
    wire = encode((slot("one") + slot("two")).join(pieces), "html")
    once = Pattern(wire).filled({"html:two": [encode("2")]})
    assert decode(Pattern(once).filled({"html:one": [encode("1")]})) == "12".join(pieces)


def test_every_last_column_keeps_within_76() -> None:
    for length in range(60, 90):
        for begin in ("x", ".", "From ", "é"):
            for end in ("a", "é", "=", " ", "."):
                words = begin + "x" * length + end
                check(encode(words))
                assert quopri.decodestring(encode(words)).decode() == words
