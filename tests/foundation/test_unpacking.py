"""Bounded decompression. Pure."""

import contextlib
import functools
import gzip
import zlib
from collections.abc import Callable, Iterator

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.foundation.errors import FetchError, TemporaryFetchError
from newsletter.foundation.unpacking import unpack

TEXT = b"<rss><channel><title>News</title></channel></rss>" * 50
RAW = zlib.compressobj(wbits=-15)
DEFLATED_RAW = RAW.compress(TEXT) + RAW.flush()


def in_pieces(data: bytes, size: int = 7) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def str_only(value: object) -> str:
    """Name a case by its words: compressed bytes carry the time, and differ from process to process."""
    return value if isinstance(value, str) else "data"


@pytest.mark.parametrize(
    ("coding", "data"),
    [
        ("", TEXT),
        ("identity", TEXT),
        ("gzip", gzip.compress(TEXT)),
        ("X-Gzip", gzip.compress(TEXT)),
        ("gzip", gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:])),
        ("gzip", gzip.compress(TEXT) + b"\0\0\0"),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", DEFLATED_RAW),
        ("br", brotli.compress(TEXT)),
    ],
    ids=str_only,
)
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_every_coding_gives_the_text_back_however_it_is_cut(coding: str, data: bytes, size: int) -> None:
    assert unpack(in_pieces(data, size), coding, 100_000) == TEXT


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
def test_an_empty_body_is_empty(coding: str) -> None:
    assert unpack(iter([]), coding, 100) == b""


@pytest.mark.parametrize(
    ("coding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("br", functools.partial(brotli.compress, quality=1))],
)
def test_a_bomb_is_stopped_long_before_it_is_unpacked(coding: str, pack: Callable[[bytes], bytes]) -> None:
    bomb = pack(b"\0" * 60_000_000)
    with pytest.raises(FetchError, match=r"larger|suspiciously"):
        unpack(iter([bomb]), coding, 5_000_000)
    with pytest.raises(FetchError, match="suspiciously"):
        unpack(iter([bomb]), coding, 500_000_000)


@pytest.mark.parametrize(
    ("coding", "data"),
    [("gzip", gzip.compress(TEXT)), ("deflate", zlib.compress(TEXT)), ("br", brotli.compress(TEXT))],
    ids=str_only,
)
def test_a_stream_cut_short_is_said_to_be(coding: str, data: bytes) -> None:
    with pytest.raises(TemporaryFetchError, match="broke off"):
        unpack(in_pieces(data[:-3]), coding, 100_000)


@pytest.mark.parametrize("coding", ["zstd", "gzip, gzip", "gzip, br", "compress"])
def test_codings_that_were_not_asked_for_are_refused(coding: str) -> None:
    with pytest.raises(FetchError, match="compressed"):
        unpack(iter([TEXT]), coding, 100_000)


@given(st.sampled_from(["gzip", "deflate", "br"]), st.lists(st.binary(max_size=50)))
def test_damage_is_an_error_of_ours(coding: str, pieces: list[bytes]) -> None:
    with contextlib.suppress(FetchError):
        unpack(iter(pieces), coding, 10_000)
