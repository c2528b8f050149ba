"""A server's process that cannot outlive the tests, not even their kill -9."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from newsletter.foundation.watchdog import Watchdog, signal_group
from tests.servers.given import Missing

READY_WITHIN = 60.0
"""Seconds; generous, for a machine that is busy with other tests."""


@contextlib.contextmanager
def serving(
    argv: Sequence[str], folder: Path, ready: Callable[[], bool], ending: signal.Signals
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `argv` in `folder` until the block ends; raise Missing if it does not come to where `ready` is true."""
    log = folder / "log"
    watchdog = Watchdog()
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    watchdog.guard(process.pid)
    try:
        _await(process, argv[0], ready, log)
        yield process
    finally:
        signal_group(process.pid, ending)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            signal_group(process.pid, signal.SIGKILL)
            process.wait()
        watchdog.release(process.pid)
        watchdog.close()


def _await(process: subprocess.Popen[bytes], name: str, ready: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            words = " ".join(log.read_text(errors="replace").split()[-40:])
            raise Missing(f"{name} did not come up: {words}")
        time.sleep(0.02)
