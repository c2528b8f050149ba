"""Run named programs as one process tree: all are up, or the caller hears why; all stop when we do.

Each program leads a process group of its own, so that Ctrl-C reaches only us, and we end the programs together with
their children. On our death by kill -9 the watchdog ends them. What the programs are is the caller's business.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final, Self

from newsletter.foundation.clock import monotonic
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.watchdog import Watchdog, signal_group

STOP_WITHIN: Final = 4.0
"""Seconds that programs have to end by themselves before they are killed."""
PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
"""Seconds before a first restart; doubled each time up to the longest."""
STEADY: Final = 60.0
"""Seconds that a program must have run for its earlier crashes to be forgotten."""
TICK: Final = 0.05
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ProgramError(NewsletterError):
    """A program did not come up, or ended by itself."""


@dataclass(frozen=True)
class Program:
    """What to run."""

    name: str
    """Unique within a supervisor; names the log file too."""
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    """Added to our own environment."""
    ready: Callable[[], bool] | None = None
    """Asked until it is true; see `foundation/ports.py` for probes."""
    ready_within: float = 30.0
    """Seconds until it must be ready."""
    restart: bool = False
    """Start it again after a crash, with growing pauses, instead of giving up."""


class _Child:
    """A program's process, as the keeper sees it."""

    def __init__(self, program: Program, log: Path) -> None:
        self.program = program
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        self.due: float | None = 0.0
        """When to start it, on the monotonic clock; None while it runs or has ended for good."""
        self.crashes = 0
        self.problem: str | None = None


class Supervisor:
    """Start programs, keep them, and stop them all on leaving the `with` block.

    Within the block SIGTERM and a closed terminal raise KeyboardInterrupt in the main thread, as Ctrl-C does.
    """

    def __init__(self, logs: Path) -> None:
        """Keep each program's output in the folder `logs`, one file each, written anew each time."""
        self._logs = logs
        self._children: dict[str, _Child] = {}
        self._stopping = threading.Event()
        # A thread starts and reaps the programs, for no signal interrupts it between a start and its being noted.
        self._keeper = threading.Thread(target=self._keep, name="supervisor", daemon=True)
        self._previous: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        if threading.current_thread() is threading.main_thread():
            self._previous = {
                number: signal.signal(number, signal.default_int_handler)
                for number in SIGNALS
                if not (number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN)  # nohup
            }
        self._watchdog = Watchdog()
        self._keeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in self._previous:  # a second Ctrl-C must not cut the stopping short
            signal.signal(number, signal.SIG_IGN)
        try:
            self._stop()
        finally:
            for number, handler in self._previous.items():
                signal.signal(number, handler or signal.SIG_DFL)

    def start(self, *programs: Program) -> None:
        """Start `programs` side by side and return when all are ready; raise ProgramError with the last words of one
        that is not.
        """
        for program in programs:
            log = self._logs / f"{program.name}.log"
            log.write_bytes(b"")
            self._children[program.name] = _Child(program, log)
        begun = monotonic()
        for program in programs:
            self._await(self._children[program.name], begun + program.ready_within)

    def _await(self, child: _Child, deadline: float) -> None:
        program = child.program
        while True:
            self.check()
            if child.process is not None and (program.ready is None or program.ready()):
                self.check()  # what answered may be another process on the same port
                return
            if monotonic() > deadline:
                raise ProgramError(
                    f"{program.name} was not ready after {program.ready_within:g} s.{_last_words(child.log)}"
                )
            time.sleep(TICK)

    def check(self) -> None:
        """Raise ProgramError if a program that is not to be restarted has ended."""
        for child in list(self._children.values()):
            if child.problem is not None:
                raise ProgramError(f"{child.problem}{_last_words(child.log)}")

    def wait(self) -> None:
        """Stay until Ctrl-C or a signal (KeyboardInterrupt), or until a program has ended for good (ProgramError)."""
        while True:
            self.check()
            time.sleep(TICK)

    def pids(self) -> dict[str, int]:
        """Return the process id of each program that runs."""
        return {
            name: child.process.pid
            for name, child in list(self._children.items())
            if child.process and child.due is None
        }

    def _keep(self) -> None:
        while not self._stopping.wait(TICK):
            for child in list(self._children.values()):
                if child.due is not None and monotonic() >= child.due:
                    self._spawn(child)
                elif child.due is None and child.process is not None and child.process.poll() is not None:
                    self._bury(child, child.process)

    def _spawn(self, child: _Child) -> None:
        child.due = None
        try:
            with child.log.open("ab") as output:
                process = subprocess.Popen(  # noqa: S603  (the caller's own programs)
                    list(child.program.argv),
                    env={**os.environ, **child.program.env},  # noqa: TID251  (handed on, not read)
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            child.problem = f"{child.program.name} could not be started: {error}."
            return
        self._watchdog.guard(process.pid)
        child.process, child.started = process, monotonic()

    def _bury(self, child: _Child, process: subprocess.Popen[bytes]) -> None:
        signal_group(process.pid, signal.SIGKILL)  # what it left behind
        self._watchdog.release(process.pid)
        child.process = None
        if not child.program.restart:
            child.problem = f"{child.program.name} ended with {_ending(process.returncode)}."
            return
        child.crashes = 0 if monotonic() - child.started >= STEADY else child.crashes + 1
        child.due = monotonic() + min(PAUSE * 2 ** max(child.crashes - 1, 0), LONGEST_PAUSE)

    def _stop(self) -> None:
        self._stopping.set()
        self._keeper.join()
        running = [child.process for child in self._children.values() if child.process is not None]
        for process in running:
            signal_group(process.pid, signal.SIGTERM)
        deadline = monotonic() + STOP_WITHIN
        while running:
            late = monotonic() >= deadline
            for process in [process for process in running if late or process.poll() is not None]:
                signal_group(process.pid, signal.SIGKILL)  # the program, or what it left behind
                process.wait()
                self._watchdog.release(process.pid)
                running.remove(process)
            time.sleep(TICK)
        self._watchdog.close()


def _ending(code: int) -> str:
    return f"code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def _last_words(log: Path, lines: int = 12) -> str:
    with log.open("rb") as output:
        output.seek(0, os.SEEK_END)
        output.seek(max(output.tell() - 8_000, 0))
        tail = output.read().decode(errors="replace").strip().splitlines()[-lines:]
    return f" Its last words, from {log}:\n" + "\n".join(f"  {line}" for line in tail) if tail else ""
