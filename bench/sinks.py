"""Where mail goes: Postfix's smtp-sink where it is installed, else a small one of ours; and Postfix's own client."""

import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from newsletter.foundation.ports import LOOPBACK, free_port, port_answers
from tests.servers.process import serving

_ROOT: Final = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Sink:
    """A server that takes every message and keeps none."""

    name: str
    port: int

    @property
    def url(self) -> str:
        """As a relay in the settings."""
        return f"smtp://{LOOPBACK}:{self.port}"


@contextlib.contextmanager
def running(*, delay: float = 0.0, everywhere: bool = False) -> Iterator[Sink]:
    """Give a sink in a process of its own.

    `delay` is the round trip, in seconds, that each answer takes; `everywhere`: it listens on all addresses.
    """
    port, address = free_port(), "0.0.0.0" if everywhere else LOOPBACK
    postfix = None if delay else program("smtp-sink")  # which delays only in whole seconds
    if postfix:
        user = ("-u", "nobody") if os.geteuid() == 0 else ()
        argv, name = [postfix, *user, f"{address}:{port}", "1000"], "smtp-sink"
    else:
        argv = [sys.executable, str(_ROOT / "bench" / "own_sink.py"), address, str(port), str(delay)]
        name = "our own sink"
    with (
        tempfile.TemporaryDirectory(prefix="sink-") as folder,
        serving(argv, Path(folder), partial(port_answers, port), signal.SIGTERM),
    ):
        yield Sink(name, port)


def program(name: str) -> str | None:
    """Return the path of one of Postfix's programs, which Debian puts where only root's PATH leads."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/libexec/postfix")
