"""The supervisor with real processes: what starts, what ends, and what must not outlive it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from newsletter.foundation.errors import ConflictError
from newsletter.foundation.ports import free_or_explain, free_port, page_answers, port_answers
from newsletter.foundation.supervisor import Program, ProgramError, Supervisor

SLEEPER = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
# A program with a child of its own that ignores being asked to end.
FAMILY = f"import subprocess, sys; subprocess.Popen([sys.executable, '-ISc', {STUBBORN!r}]).wait()"

# A supervisor in a process of its own, to be sent signals: prints its programs' process ids once they are up.
HOUSE = """
import json, sys
from pathlib import Path
from newsletter.foundation.supervisor import Program, Supervisor
logs = Path(sys.argv[1])
with Supervisor(logs) as supervisor:
    for name, code in json.loads(sys.argv[2]).items():
        log = logs / f"{name}.log"
        supervisor.start(Program(name, [sys.executable, "-ISc", code], ready=lambda: b"up" in log.read_bytes()))
    print(*supervisor.pids().values(), flush=True)
    supervisor.wait()
"""


def python(name: str, code: str, **options: object) -> Program:
    return Program(name, [sys.executable, "-ISc", code], **options)  # type: ignore[arg-type]  # a Program's own fields


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


def gone(group: int) -> bool:
    """Say whether nothing of the process group lives; the dead that nobody has reaped yet do not count."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, pgrp = stat.read_text().rpartition(")")[2].split()[:3]
            if int(pgrp) == group and state != "Z":
                return False
    return True


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Callable[[str], tuple[subprocess.Popen[str], list[int]]]]:
    """Return a function that starts a supervisor with programs (JSON: name to code) and says their groups."""
    started: list[subprocess.Popen[str]] = []

    def start(programs: str) -> tuple[subprocess.Popen[str], list[int]]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOUSE, str(tmp_path), programs],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        started.append(process)
        assert process.stdout is not None
        groups = [int(word) for word in process.stdout.readline().split()]
        assert groups, process.communicate()[1]
        assert not any(gone(group) for group in groups)
        return process, groups

    yield start
    for process in started:
        process.kill()
        process.communicate()


def programs(**codes: str) -> str:

    return json.dumps(codes)


def test_a_program_is_up_when_start_returns(tmp_path: Path) -> None:
    port = free_port()
    code = f"import http.server as s; s.HTTPServer(('127.0.0.1', {port}), s.SimpleHTTPRequestHandler).serve_forever()"
    with Supervisor(tmp_path) as supervisor:
        assert not page_answers(port, "/")
        supervisor.start(python("site", code, ready=lambda: page_answers(port, "/")))
        assert page_answers(port, "/")
        assert not page_answers(port, "/no-such-page")
        group = supervisor.pids()["site"]
    assert gone(group)
    assert not port_answers(port)


def test_programs_get_the_environment_they_are_given_beside_ours(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        code = f"import os; print(os.environ['COLOUR'], 'PATH' in os.environ, flush=True); {SLEEPER}"
        supervisor.start(python("painter", code, env={"COLOUR": "blue"}))
        assert eventually(lambda: b"blue True" in (tmp_path / "painter.log").read_bytes())


def test_a_program_that_ends_at_once_is_told_with_its_last_words(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor, pytest.raises(ProgramError, match=r"(?s)code 3.*no ink left"):
        supervisor.start(python("printer", "print('no ink left'); raise SystemExit(3)", ready=lambda: False))


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor, pytest.raises(ProgramError, match="ghost could not be started"):
        supervisor.start(Program("ghost", ["/no/such/program"]))


def test_a_program_that_never_gets_ready_is_told(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor, pytest.raises(ProgramError, match="not ready"):
        supervisor.start(python("dreamer", SLEEPER, ready=lambda: False, ready_within=0.2))


def test_waiting_ends_when_a_program_dies_for_good(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(python("worker", SLEEPER))
        os.kill(supervisor.pids()["worker"], signal.SIGKILL)
        with pytest.raises(ProgramError, match="worker ended with signal SIGKILL"):
            supervisor.wait()


def test_a_crashed_program_is_started_again_when_asked(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(python("worker", SLEEPER, restart=True))
        first = supervisor.pids()["worker"]
        os.kill(first, signal.SIGKILL)
        assert eventually(lambda: supervisor.pids().get("worker", first) != first)
        supervisor.check()


def test_what_a_crashed_program_left_behind_is_ended(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(python("family", FAMILY, ready=lambda: b"up" in (tmp_path / "family.log").read_bytes()))
        group = supervisor.pids()["family"]
        os.kill(group, signal.SIGKILL)
        assert eventually(lambda: gone(group))


def test_a_program_deaf_to_being_asked_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("newsletter.foundation.supervisor.STOP_WITHIN", 0.3)
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(python("mule", STUBBORN, ready=lambda: b"up" in (tmp_path / "mule.log").read_bytes()))
        group = supervisor.pids()["mule"]
    assert gone(group)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_whole_tree(
    house: Callable[[str], tuple[subprocess.Popen[str], list[int]]], number: signal.Signals
) -> None:
    process, groups = house(programs(web=SLEEPER, worker=SLEEPER))
    process.send_signal(number)
    process.send_signal(number)  # impatience changes nothing
    assert "KeyboardInterrupt" in process.communicate(timeout=20)[1]
    assert all(gone(group) for group in groups)


def test_kill_9_of_the_supervisor_leaves_no_orphans(
    house: Callable[[str], tuple[subprocess.Popen[str], list[int]]],
) -> None:
    process, groups = house(programs(web=SLEEPER, family=FAMILY))
    process.kill()
    assert eventually(lambda: all(gone(group) for group in groups))


def test_a_busy_port_is_explained_with_the_way_out() -> None:
    port = free_port()
    free_or_explain(port, "--port")
    code = (
        f"import socket, time; s = socket.create_server(('127.0.0.1', {port})); print('up', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-ISc", code], stdout=subprocess.PIPE) as listener:
        assert listener.stdout is not None
        listener.stdout.readline()
        with pytest.raises(ConflictError, match=rf"Port {port} .*not free.*--port"):
            free_or_explain(port, "--port")
        listener.kill()
