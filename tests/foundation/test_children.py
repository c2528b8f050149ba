"""Child processes end with us, whatever becomes of us."""

import signal
import subprocess
import sys
from pathlib import Path

from newsletter.foundation.children import Child
from tests.journeys.processes import eventually

ROOT = Path(__file__).resolve().parents[2]
MODULE = "newsletter.delivery.signing_process"
PARENT = f"""
from newsletter.foundation.children import Child
child = Child({MODULE!r})
print(child.process.pid, flush=True)
input()
"""


def test_a_child_ends_when_its_parent_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        status = Path(f"/proc/{int(parent.stdout.readline())}/status")
        assert "(zombie)" not in status.read_text()
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        eventually(lambda: not status.exists() or "(zombie)" in status.read_text())


def test_a_child_knows_nothing_of_our_environment() -> None:
    child = Child(MODULE)
    try:
        environment = Path(f"/proc/{child.process.pid}/environ").read_bytes()
        names = {entry.partition(b"=")[0] for entry in environment.split(b"\0") if entry}
        assert names <= {b"PYTHONPATH", b"LC_CTYPE"}
    finally:
        child.end()


def test_one_that_has_ended_says_so_instead_of_raising() -> None:
    child = Child(MODULE)
    child.process.kill()
    child.process.wait()
    assert not child.is_usable()
    assert child.ask(b"key", b"digest") is None
    child.end()
