"""A terminal in which an operator types one `newsletter` command after another.

It is a process of its own with the service's settings, and runs the same command as a shell would; just the seconds
that Python takes to begin are spent once. It ends with the pipe that it reads from, and so with the demo.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from newsletter.demo.errors import StoryError


class Terminal:
    """Our side of it."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        """Open it; what is said beside the answers goes to `log`."""
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "newsletter.cli.terminal"],
                env={**os.environ, **environment},  # noqa: TID251  (handed on, not read)
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                encoding="utf-8",
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def type(self, *line: str) -> None:
        """Type a command, `newsletter` left out, without waiting for it."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(line) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise StoryError("The terminal has ended by itself.") from None

    def answer(self) -> str:
        """Return what the earliest command that was not yet asked about has answered.

        Raises StoryError with its words when it failed.
        """
        assert self._process.stdout is not None
        reply = self._process.stdout.readline()
        if not reply:
            raise StoryError("The terminal has ended by itself.")
        line, code, answer, words = json.loads(reply)
        if code:
            raise StoryError(f"`newsletter {' '.join(line[:2])}` failed: {words.strip()[-500:]}")
        return str(answer)

    def run(self, *line: str) -> str:
        """Type a command and return its answer. Raises StoryError as `answer` does."""
        self.type(*line)
        return self.answer()
