"""Child processes of ours that do what would hold this one up, or what it must survive.

They are plain subprocesses, so that this works inside Celery's own children too, and they inherit no environment, hence
no secret. Questions and answers are frames over their pipes: a length in four bytes, then the content. A child ends
when its stdin does, which the kernel closes whatever becomes of us.
"""

import contextlib
import os
import resource
import struct
import subprocess
import sys
from typing import IO, Final

from newsletter.foundation.resources import PACKAGE

_LENGTH: Final = struct.Struct("!I")


class Child:
    """A process that runs one of our modules, and its pipes."""

    def __init__(self, module: str) -> None:
        self._parent = os.getpid()
        self.process = subprocess.Popen(  # noqa: S603  (a module of ours)
            [sys.executable, "-s", "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PYTHONPATH": str(PACKAGE.parent)},
        )

    def is_usable(self) -> bool:
        """Tell whether it lives, and is ours: after a fork its pipes belong to the process that began it."""
        return self._parent == os.getpid() and self.process.poll() is None

    def ask(self, *frames: bytes) -> bytes | None:
        """Send a question and return the answer, a frame; None if it did not survive it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            for frame in frames:
                write_frame(self.process.stdin, frame)
            return read_frame(self.process.stdout)
        except OSError:
            return None

    def end(self) -> None:
        """Kill it and close our ends; after a fork, only the latter."""
        if self._parent == os.getpid():
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def read_frame(stream: IO[bytes]) -> bytes | None:
    """Return the next frame, or None at the end of the stream."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    body = stream.read(length)
    return body if len(body) == length else None


def write_frame(stream: IO[bytes], body: bytes) -> None:
    """Send one frame."""
    stream.write(_LENGTH.pack(len(body)))
    stream.write(body)
    stream.flush()


def pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Return, to a child, where its questions come from and where its answers go.

    Whatever a library prints must not end up among the answers, nor what the child was told in a core dump.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return questions, answers
