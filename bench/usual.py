"""The usual way: django-newsletter from PyPI, which renders each mail anew and connects anew for each."""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final

from bench import sinks
from bench.figures import Figure
from bench.measuring import Effort, by_turns
from bench.sending import station
from bench.sinks import Sink
from tests.servers.given import Missing

_VERSION: Final = "1.2.1"
_PACKAGES: Final = (f"django-newsletter=={_VERSION}", "sorl-thumbnail")
_PER_SECOND: Final = 50
"""Readers that the peer gets for each second that a turn should take, roughly."""
_LOOP: Final = Path(__file__).with_name("django_loop.py")


def measure(effort: Effort) -> Iterator[Figure]:
    """Measure digests beside the same number of articles sent by the peer to fewer readers."""
    count = round(_PER_SECOND * effort.seconds * 2)
    with _peer() as python, sinks.running() as sink, station("postgresql", sink.url, effort.few) as ours:
        size = ours.size()
        results = by_turns(effort.few_rounds, lambda: ours.digest().rate, lambda: _rate(python, sink, count, size))
    value, beside = map(median, results)
    yield Figure("naive", value, "mails/s", f"django-newsletter {_VERSION}, {size / 1000:.0f} kB", beside)


def _rate(python: Path, sink: Sink, count: int, size: int) -> float:
    # -I: what it calls `newsletter` is not we.
    command = [str(python), "-I", str(_LOOP), str(sink.port), str(count), str(size)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    return count / float(done.stdout)


@contextlib.contextmanager
def _peer() -> Iterator[Path]:
    """Give the Python of an environment with the peer in it. Raises Missing where it cannot be installed."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        python = Path(folder) / "peer" / "bin" / "python"
        try:
            for words in (("venv", f"{folder}/peer"), ("pip", "install", "--python", str(python), *_PACKAGES)):
                uv = [sys.executable, "-m", "uv", *words, "--quiet"]
                subprocess.run(uv, check=True, capture_output=True, text=True, timeout=300)
        except subprocess.CalledProcessError as error:
            raise Missing(f"{_PACKAGES[0]} could not be installed: {' '.join(error.stderr.split()[-30:])}") from error
        yield python
