"""Postfix's test server `smtp-sink`: takes mail and throws it away, refuses or hangs up where its options say so."""

import contextlib
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from newsletter.foundation.ports import LOOPBACK, free_port
from tests.servers.given import Missing
from tests.servers.process import serving


@dataclass
class SmtpSink:
    """The server; `said` is what clients said to it, known when it has ended."""

    port: int
    said: list[str]

    def count(self, command: str) -> int:
        """Return how often a command came."""
        return sum(line.split(" ")[0].lower() == command.lower() for line in self.said)

    def answers(self) -> bool:
        """Say whether it takes connections."""
        try:
            with socket.create_connection((LOOPBACK, self.port), 1):
                return True
        except OSError:
            return False


@contextlib.contextmanager
def running(*options: str) -> Iterator[SmtpSink]:
    """Give a server until the block ends. Raises Missing."""
    program = shutil.which("smtp-sink") or shutil.which("smtp-sink", path="/usr/sbin")
    if program is None:
        raise Missing("No smtp-sink: apt-get install postfix")
    user = ("-u", "nobody") if os.geteuid() == 0 else ()
    sink = SmtpSink(free_port(), [])
    folder = Path(tempfile.mkdtemp(prefix="smtp-sink-"))
    try:
        argv = [program, "-v", *user, *options, f"{LOOPBACK}:{sink.port}", "100"]
        with serving(argv, folder, sink.answers, signal.SIGTERM):
            yield sink
        log = (folder / "log").read_text(errors="replace")
        sink.said += [line.partition("smtp-sink: ")[2] for line in log.splitlines()]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
