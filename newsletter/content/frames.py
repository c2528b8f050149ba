"""How parser.py and its children talk: a frame is its length in four bytes, then its content.

A request is a frame of JSON (what to do) and a frame of bytes (the document); the answer is a frame of JSON.
"""

import struct
from typing import IO, Final

CPU_SECONDS: Final = 10
"""For one document; the kernel ends the child that uses more."""


def read_frame(stream: IO[bytes]) -> bytes | None:
    """Return the next frame, or None at the end of the stream."""
    head = stream.read(4)
    if len(head) < 4:
        return None
    (length,) = struct.unpack("!I", head)
    body = stream.read(length)
    return body if len(body) == length else None


def write_frame(stream: IO[bytes], body: bytes) -> None:
    """Send one frame."""
    stream.write(struct.pack("!I", len(body)))
    stream.write(body)
    stream.flush()
