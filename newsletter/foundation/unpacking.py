"""Undo Content-Encoding in bounded steps, so that a few kilobytes cannot become gigabytes (RFC 9110 section 8.4)."""

import zlib
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import brotli

from newsletter.foundation.errors import FetchError, TemporaryFetchError

ACCEPTED: Final = "gzip, deflate, br"
STEP: Final = 256 * 1024
"""Bytes that one step may give out."""
MAX_RATIO: Final = 50
"""Bytes out for each byte in: feeds reach 10, rarely 20."""
GZIP_MAGIC: Final = 0x1F
RATIO_COUNTS_FROM: Final = 1024 * 1024
"""Bytes out below which any ratio is harmless."""


class Decoder(Protocol):
    """Turn compressed pieces into plain ones."""

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Give out what `piece` adds, at most STEP bytes at a time."""

    def complete(self) -> bool:
        """Tell whether the stream ended where its format says it ends."""


class Plain:
    """Identity."""

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Give `piece` back."""
        yield piece

    def complete(self) -> bool:
        """Say yes: HTTP itself knows where it ends."""
        return True


class Zlib:
    """The gzip and deflate codings; deflate also without its zlib wrapper, as some servers send it."""

    def __init__(self) -> None:
        self._new: Callable[[], zlib._Decompress] = lambda: zlib.decompressobj(wbits=47)
        self._stream = self._new()
        self._begun = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Give out what `piece` adds. A gzip body may consist of several members (RFC 1952 section 2.2)."""
        if not self._begun and piece:
            self._begun = True
            if not _has_wrapper(piece):
                self._stream = zlib.decompressobj(wbits=-15)
        while piece:
            if self._stream.eof:
                if piece[0] != GZIP_MAGIC:
                    return  # padding after the end
                self._stream = self._new()
            yield self._stream.decompress(piece, STEP)
            piece = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail

    def complete(self) -> bool:
        """Tell whether the last member is whole."""
        return self._stream.eof or not self._begun


class Brotli:
    """The br coding (RFC 7932)."""

    def __init__(self) -> None:
        self._stream = brotli.Decompressor()
        self._begun = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Give out what `piece` adds."""
        if not piece or self._stream.is_finished():
            return
        self._begun = True
        yield self._stream.process(piece, output_buffer_limit=STEP)
        while not self._stream.can_accept_more_data():
            yield self._stream.process(b"", output_buffer_limit=STEP)

    def complete(self) -> bool:
        """Tell whether the stream is whole."""
        return not self._begun or bool(self._stream.is_finished())


def unpack(pieces: Iterator[bytes], coding: str, max_bytes: int) -> bytes:
    """Join `pieces` of a body sent with Content-Encoding `coding`.

    Raises FetchError when the result would exceed `max_bytes`, grows too fast, or the coding is unknown, and
    TemporaryFetchError when the data are damaged or cut short.
    """
    decoder = _decoder(coding)
    body = bytearray()
    received = 0
    try:
        for piece in pieces:
            received += len(piece)
            for plain in decoder.feed(piece):
                body += plain
                if len(body) > max_bytes:
                    raise FetchError(f"The answer is larger than {max_bytes / 1_000_000:g} MB.")
                if len(body) > max(RATIO_COUNTS_FROM, MAX_RATIO * received):
                    raise FetchError("The answer unpacks to suspiciously many times its size; it was not read.")
    except (zlib.error, brotli.error) as damage:
        raise TemporaryFetchError("The answer is compressed, but damaged.") from damage
    if not decoder.complete():
        raise TemporaryFetchError("The answer broke off before its end.")
    return bytes(body)


def _decoder(coding: str) -> Decoder:
    match coding.strip().lower():
        case "" | "identity":
            return Plain()
        case "gzip" | "x-gzip" | "deflate":
            return Zlib()
        case "br":
            return Brotli()
    raise FetchError("The server compressed its answer in a way that was not asked for.")


def _has_wrapper(piece: bytes) -> bool:
    if piece[0] == GZIP_MAGIC:
        return True
    # zlib: compression method 8, and header bytes that are a multiple of 31 (RFC 1950 section 2.2).
    return piece[0] & 0x0F == 8 and (len(piece) < 2 or (piece[0] << 8 | piece[1]) % 31 == 0)
