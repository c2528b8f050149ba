"""X1 and X2: kill -9 of workers, again and again, while a digest goes out."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Final

from tests.chaos.ground import Ground
from tests.chaos.result import Result, Size, experiment
from tests.chaos.stage import CONNECTIONS, eventually, staged

SLOWLY: Final = ("--delay", "0.015")
"""So that a digest is still going out when the next kill comes."""


def x1(ground: Ground, size: Size, seed: int) -> Result:
    """Kill children, parents and whole groups of Celery workers on PostgreSQL."""
    readers, kills = (3_000, 6) if size is Size.CI else (100_000, 50)
    dice = random.Random(seed)
    victims = [("child", "parent", "group")[number % 3] for number in range(kills)]
    dice.shuffle(victims)
    hurry = size is Size.CI
    patches = ("--bells", "1", "--locks", "0.02") if hurry else ()
    with (
        experiment("X1", size, seed) as result,
        staged(ground, "postgresql", readers, sink=SLOWLY, patches=patches) as stage,
    ):
        stage.plan()
        workers = [stage.worker(beat=number == 0) for number in range(1 if hurry else 2)]
        begun, killed = time.monotonic(), 0
        for number, victim in enumerate(victims, 1):
            stage.reached(number * readers // (kills + 2))
            chosen = dice.randrange(len(workers))
            killed += _kill(workers[chosen], victim, dice)
            if victim != "child":
                stage.place.kill(workers[chosen])  # its orphans too, which would end by themselves a moment later
                workers[chosen] = stage.worker(beat=chosen == 0)
        stage.over()
        stage.judge(result, unknown=killed * CONNECTIONS)
        result.counts |= {"kills": kills, "processes_killed": killed}
        if size is Size.FULL:
            result.at_least("mails_per_second", round(readers / (time.monotonic() - begun)), 500)
    return result


def x2(ground: Ground, size: Size, seed: int) -> Result:
    """Kill the one worker process on SQLite, start it again."""
    # The number that is promised for 40 kills is that of a worker with one connection.
    readers, kills, connections = (2_000, 4, CONNECTIONS) if size is Size.CI else (30_000, 40, 1)
    dice = random.Random(seed)
    sink = SLOWLY if size is Size.CI else ()
    with (
        experiment("X2", size, seed) as result,
        staged(ground, "sqlite", readers, sink=sink, connections=connections) as stage,
    ):
        stage.plan()
        worker, slowest = stage.worker(), 0.0
        for number in range(1, kills + 1):
            stage.reached(number * readers // (kills + 2) + dice.randrange(20))
            stage.place.kill(worker)
            time.sleep(0.1)  # what is in the sink's sockets arrives
            before, restarted = stage.sink.accepted(), time.monotonic()
            worker = stage.worker()
            stage.reached(before + 1)
            slowest = max(slowest, time.monotonic() - restarted)
        stage.over()
        stage.judge(result, unknown=kills * connections)
        result.counts["kills"] = kills
        result.within("restart_to_first_mail", slowest, 5)
    return result


def _kill(worker: subprocess.Popen[bytes], victim: str, dice: random.Random) -> int:
    """Kill one process of the worker or all of them; return how many were sending."""
    sending = eventually(lambda: senders(worker.pid))
    if victim == "child":
        os.kill(dice.choice(sending), signal.SIGKILL)
        return 1
    if victim == "parent":
        os.kill(worker.pid, signal.SIGKILL)
        time.sleep(0.1)  # its children have not noticed yet
        return len(sending)
    os.killpg(worker.pid, signal.SIGKILL)
    return len(sending)


def senders(worker: int) -> list[int]:
    """Return the processes of a worker's group that hold a journal open: those that may be sending."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(folder.name)) == worker and _holds_journal(folder):
                found.append(int(folder.name))
        except (ProcessLookupError, FileNotFoundError, PermissionError):
            continue  # it has just ended
    return found


def _holds_journal(folder: Path) -> bool:
    return any(str(fd.readlink()).endswith(".journal") for fd in (folder / "fd").iterdir())
