"""The scripted sink in a process of its own: survives whatever is killed beside it, and writes down what it saw.

Its log is append-only, one write(2) for each line: time, what happened, the recipient, the return path.

    + accepted, and said so            * accepted, then hung up without a word
    ~ hung up before it was accepted   - refused for good            ? refused for now
"""

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from newsletter.foundation.ports import free_port, port_answers
from tests.delivery.sink import DROP, DROP_AFTER, Sink

ROOT: Final = Path(__file__).resolve().parents[2]
ACCEPTED: Final = "+*"
RATES: Final = ("drop-before", "drop-after", "busy", "later", "refuse")


@dataclass(frozen=True)
class Seen:
    """One line of the log."""

    at: float
    kind: str
    recipient: str
    sender: str


class Mix(Sink):
    """A relay with faults at given rates, the same for the same seed."""

    def __init__(self, log: Path, seed: int, rates: dict[str, float], **options: float) -> None:
        super().__init__(script=self._decide, delay=options["delay"], port=int(options["port"]))
        self.bytes_per_second = int(options["bytes_per_second"])
        self._rates, self._seed = rates, seed
        self._dice = random.Random(seed)
        self._log = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
        self._ending = "+"

    def heard(self, command: str) -> None:
        """Keep no commands."""

    def took(self, sender: str, recipient: str, content: bytes) -> None:
        """Write the recipient down before the client can be told."""
        self.note(self._ending, recipient, sender)

    def note(self, kind: str, recipient: str, sender: str = "-") -> None:
        os.write(self._log, f"{time.time():.6f} {kind} {recipient} {sender}\n".encode())

    def _decide(self, step: str, recipient: str) -> bytes | None:
        if step == "mail" and self._falls("busy"):
            return b"421 4.3.2 closing for a moment"
        if step == "rcpt":
            # Whoever is refused once is refused always: a second offer would be the client's mistake.
            if zlib.crc32(f"{self._seed}{recipient}".encode()) % 100_000 < self._rates["refuse"] * 100_000:
                self.note("-", recipient)
                return b"550 5.1.1 no such mailbox"
            if self._falls("later"):
                self.note("?", recipient)
                return b"451 4.2.0 try again"
        if step == "dot":
            if self._falls("drop-before"):
                self.note("~", recipient)
                return DROP
            self._ending = "*" if self._falls("drop-after") else "+"
            return DROP_AFTER if self._ending == "*" else None
        return None

    def _falls(self, kind: str) -> bool:
        return self._rates[kind] > 0 and self._dice.random() < self._rates[kind]


@dataclass
class SinkProcess:
    """The sink as an experiment holds it; use it as a context manager."""

    folder: Path
    options: Sequence[str] = ()
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None
    _read: int = 0
    _seen: list[Seen] = field(default_factory=list)

    def __enter__(self) -> "SinkProcess":
        self.log.touch()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def log(self) -> Path:
        return self.folder / "sink.log"

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen, on the same port as before."""
        argv = [
            sys.executable,
            "-m",
            "tests.chaos.sink",
            "--log",
            str(self.log),
            "--port",
            str(self.port),
            *self.options,
        ]
        self._process = subprocess.Popen(argv, cwd=ROOT, start_new_session=True)
        deadline = time.monotonic() + 30
        while not port_answers(self.port):
            assert self._process.poll() is None, "the sink did not start"
            assert time.monotonic() < deadline, "the sink does not answer"
            time.sleep(0.05)

    def stop(self) -> None:
        """Be away: connections are cut, new ones refused."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(10)
            self._process = None

    def seen(self) -> list[Seen]:
        """Return what was logged so far, in its order."""
        with self.log.open("rb") as file:
            file.seek(self._read)
            whole = file.read().rpartition(b"\n")[0]
        if whole:
            self._read += len(whole) + 1
            for line in whole.decode().split("\n"):
                at, kind, recipient, sender = line.split(" ")
                self._seen.append(Seen(float(at), kind, recipient, sender))
        return self._seen

    def accepted(self) -> int:
        """Return how many messages it took."""
        return sum(one.kind in ACCEPTED for one in self.seen())


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--bytes-per-second", type=int, default=0)
    parser.add_argument("--no-smtputf8", action="store_true")
    for rate in RATES:
        parser.add_argument(f"--{rate}", type=float, default=0.0)
    given = vars(parser.parse_args())
    rates = {rate: given[rate.replace("-", "_")] for rate in RATES}
    options = {name: given[name] for name in ("port", "delay", "bytes_per_second")}
    sink = Mix(given["log"], given["seed"], rates, **options)
    if not given["no_smtputf8"]:
        sink.extensions = (*sink.extensions, "SMTPUTF8", "ENHANCEDSTATUSCODES")
    loop = asyncio.new_event_loop()
    loop.run_until_complete(sink.listen())
    loop.run_forever()


if __name__ == "__main__":
    main()
