"""The real command in real processes, on a database of the test's own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-c", "from newsletter.cli import main; main()"]


@dataclass
class Installation:
    """One installation as an operator has it: a folder, settings in the environment, the command."""

    folder: Path
    smtp_url: str
    database_url: str = ""
    redis_url: str = ""
    public_url: str = "http://127.0.0.1:8000"
    more: dict[str, str] = field(default_factory=dict)
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __enter__(self) -> "Installation":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.running:
            self.kill(process)

    @property
    def environment(self) -> dict[str, str]:
        """What the processes see."""
        given = {
            "MODE": "development",
            "DATA_DIR": str(self.folder / "var"),
            "PUBLIC_URL": self.public_url,
            "SMTP_URL": self.smtp_url,
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "SECRET_KEYS": "s3ssion-key-of-the-tests-0123456789abcdef",
            "LINK_KEYS": "l1nk-key-of-the-tests-0123456789abcdefgh",
            "DATA_KEYS": "d4ta-key-of-the-tests-0123456789abcdefgh",
            "HASH_KEY": "h4sh-key-of-the-tests-0123456789abcdefgh",
            "LOG_FORMAT": "text",
        } | self.more
        kept = {name: value for name, value in os.environ.items() if not name.startswith("NEWSLETTER_")}  # noqa: TID251  (the processes are given what we were given)
        root = str(Path(__file__).resolve().parents[2])
        return kept | {f"NEWSLETTER_{name}": value for name, value in given.items()} | {"PYTHONPATH": root}

    def command(self, *words: str) -> str:
        """Run a command to its end; its standard output."""
        done = subprocess.run(
            [*COMMAND, *words], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def report(self, *words: str) -> Any:
        """Run a command with --json; what it reports."""
        return json.loads(self.command(*words, "--json"))

    def prepare(self) -> None:
        """Make the database and the publication."""
        self.command(
            "init",
            *("--name", "The Sample Gazette"),
            *("--site-url", "https://gazette.example.org"),
            *("--postal-address", "The Sample Gazette, 1 Press Lane, Sampleton"),
            *("--contact-address", "editors@gazette.example.org"),
            *("--privacy-url", "https://gazette.example.org/privacy"),
            *("--digest-from", "digest@gazette.example.org"),
            *("--confirmation-from", "hello@gazette.example.org"),
            *("--timezone", "Europe/Berlin"),
        )

    def start(
        self, *words: str, before: Sequence[str] = (), program: Sequence[str] = COMMAND
    ) -> subprocess.Popen[bytes]:
        """Start a long-running command in a process group of its own; its output goes to a file.

        `before` are words of a program that makes room for the command and then becomes it.
        """
        with (self.folder / f"{words[0]}-{len(self.running)}.log").open("wb") as log:
            process = subprocess.Popen(
                [*before, *program, *words],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.running.append(process)
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill -9 the process and all its children at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)

    def logs(self) -> str:
        """Everything that was logged."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))


def eventually(what: Callable[[], Any], seconds: float = 60, every: float = 0.05) -> Any:
    """Ask until the answer is true, and return it."""
    end = time.monotonic() + seconds
    while not (answer := what()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(every)
    return answer
