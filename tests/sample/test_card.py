"""The pictures, read back by what the PNG specification says."""

import struct
import zlib

import pytest

from newsletter.sample import card
from newsletter.sample.articles import CATEGORIES, load_drafts


def chunks(data: bytes) -> dict[bytes, bytes]:
    """Take a PNG apart, checking every length and checksum."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    found, at = {}, 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", data, at + 8 + length) == (zlib.crc32(kind + body),)
        found[kind] = body
        at += 12 + length
    return found


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_card_is_a_sound_indexed_png(category: str) -> None:
    found = chunks(card.draw("any", category))
    assert struct.unpack(">IIBBBBB", found[b"IHDR"]) == (600, 315, 8, 3, 0, 0, 0)
    assert len(found[b"PLTE"]) == 4 * 3
    pixels = zlib.decompress(found[b"IDAT"])
    assert len(pixels) == 315 * (1 + 600)
    assert set(pixels) <= {card.SKY, card.DISC, card.FAR, card.NEAR}
    assert list(found)[-1] == b"IEND"


def test_every_card_is_small_and_its_own() -> None:
    cards = {draft.slug: card.draw(draft.slug, draft.categories[0]) for draft in load_drafts()}
    assert max(map(len, cards.values())) < 5000
    assert len(set(cards.values())) == len(cards)


def test_the_same_slug_always_gets_the_same_card() -> None:
    assert card.draw("same", "World") == card.draw("same", "World")
