"""Take child processes down with us, however we die: a kill -9 leaves no orphan holding a port.

A small process in a session of its own reads a pipe whose other end only we hold. When we are gone the pipe ends, and
it ends the process groups that it was told of. Unlike a parent-death signal it works on every POSIX system, reaches
grandchildren, and does not depend on which of our threads started the child. Only a child that was started in the very
instant before the kill, and so was not yet told of, escapes it.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import Final

GRACE: Final = 2.0
"""Seconds between asking orphans to end and killing them."""


class Watchdog:
    """Our end of the pipe."""

    def __init__(self) -> None:
        # Isolated and without site-packages: it starts in milliseconds and needs nothing but this file.
        self._process = subprocess.Popen(  # noqa: S603  (our own interpreter and file)
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            bufsize=0,
        )

    def guard(self, group: int) -> None:
        """Have the process group `group` ended when we die."""
        self._tell(group)

    def release(self, group: int) -> None:
        """Forget the process group `group`; it has ended, and its number may come to mean another."""
        self._tell(-group)

    def close(self) -> None:
        """End the watchdog, and with it whatever it still guards."""
        self._process.communicate()

    def _tell(self, number: int) -> None:
        # A watchdog that somebody killed must not take us with it.
        with contextlib.suppress(BrokenPipeError):
            assert self._process.stdin is not None
            self._process.stdin.write(f"{number}\n".encode())


def signal_group(group: int, number: int) -> bool:
    """Send a signal (0 only asks) to every process of `group`; return whether there was any."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS says so of a group that holds only the dead
        return False
    return True


def main() -> None:
    """Read group numbers until the pipe ends (negative ones are released), then end the groups that are left."""
    groups: set[int] = set()
    for line in sys.stdin:
        number = int(line)
        if number > 0:
            groups.add(number)
        else:
            groups.discard(-number)
    alive = {group for group in groups if signal_group(group, signal.SIGTERM)}
    deadline = time.monotonic() + GRACE
    while alive and time.monotonic() < deadline:
        time.sleep(0.05)
        alive = {group for group in alive if signal_group(group, 0)}
    for group in alive:
        signal_group(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
