"""Quoted-printable that can be joined: whatever is cut where, it decodes to the words."""

import quopri
import re

from hypothesis import given
from hypothesis import strategies as st

from newsletter.mail.fragments import Fragment, Pattern, slot, words

PIECES = st.lists(st.text(alphabet=st.sampled_from("a=é🚢. \n\t-_?Xя"), max_size=160), max_size=8)


def wire(fragments: list[Fragment]) -> bytes:
    return b"".join(fragment.wire for fragment in fragments)


@given(PIECES)
def test_joined_bytes_decode_to_joined_words(pieces: list[str]) -> None:
    fragments = [Fragment.of(piece) for piece in pieces]
    encoded = wire(fragments)
    assert quopri.decodestring(encoded).replace(b"\r\n", b"\n").decode() == "".join(pieces) == words(fragments)
    lines = encoded.split(b"\r\n")
    assert max(map(len, lines)) <= 76
    assert not any(line.endswith((b" ", b"\t")) for line in lines)
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|=_", encoded)


@given(PIECES, st.text(max_size=100, alphabet=st.characters(exclude_categories=("Cs", "Co", "Cc"))))
def test_a_filled_pattern_is_what_its_template_says(pieces: list[str], value: str) -> None:
    pattern = Pattern(slot("name").join(pieces))
    filled = pattern.fill({"name": [Fragment.of(value)]})
    assert words(filled) == value.join(pieces)
    assert quopri.decodestring(wire(filled)).replace(b"\r\n", b"\n").decode() == value.join(pieces)


def test_every_last_column_keeps_within_76() -> None:
    for length in range(60, 90):
        for end in ("a", "é", "=", " "):
            encoded = Fragment.of("x" * length + end).wire
            assert max(map(len, encoded.split(b"\r\n"))) <= 76
            assert quopri.decodestring(encoded).decode() == "x" * length + end
