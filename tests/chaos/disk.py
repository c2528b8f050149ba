"""X11: the disk fills up while a digest goes out of SQLite, and is freed again."""

import contextlib
import datetime
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.ground import Ground
from tests.chaos.result import Result, Size, experiment
from tests.chaos.stage import CONNECTIONS, eventually, staged
from tests.servers.given import Missing


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    """Put a file system of so many megabytes at `folder`, with what lies there. Raises Missing."""
    kept = folder.with_name(f"{folder.name}.kept")
    shutil.copytree(folder, kept)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        raise Missing(f"No small disk: only root may mount one ({mounted.stderr.decode().strip()})")
    try:
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def x11(ground: Ground, size: Size, seed: int) -> Result:
    """Fill the disk until nothing can be committed: no dot may be written then. Free it: it goes on by itself."""
    readers, full_for = (2_000, 6.0) if size is Size.CI else (20_000, 30.0)
    with contextlib.ExitStack() as stack:
        result = stack.enter_context(experiment("X11", size, seed))
        stage = stack.enter_context(staged(ground, "sqlite", readers, sink=("--delay", "0.012")))
        data = stage.place.folder / "var"
        stage.leave()
        stack.enter_context(small_disk(data, 64 if size is Size.CI else 256))
        stage.plan()
        worker = stage.worker()
        stack.callback(stage.place.kill, worker)  # before its disk goes
        stack.callback(stage.leave)
        stage.reached(readers * 3 // 10)
        _fill(data / "filler")
        time.sleep(full_for)
        states, last_word = _states(data / "newsletter.db")
        # Not since the disk was full: in the room that its log has already, SQLite goes on committing.
        paused = max((one.at for one in stage.sink.seen()), default=last_word) - last_word
        early = {one.recipient for one in stage.sink.seen() if states.get(one.recipient) == "planned"}
        (data / "filler").unlink()
        before = stage.sink.accepted()
        result.exactly("dots_without_a_committed_word", len(early), 0)
        result.within("pause", paused, 10)
        result.exactly("stopped_before_the_end", before < readers, True)
        eventually(lambda: worker.poll() is not None or stage.sink.accepted() > before, 120)
        result.exactly("worker_ended", worker.poll() is not None, False)
        if worker.poll() is None:
            stage.over()
            stage.judge(result, unknown=CONNECTIONS)
            with sqlite3.connect(data / "newsletter.db") as connection:
                sound = connection.execute("PRAGMA integrity_check").fetchone()[0]
            result.exactly("integrity_check_is_ok", sound == "ok", True)
    return result


def _fill(path: Path) -> None:
    """Take every byte that is left."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            os.write(file.fileno(), bytes(1 << 16))
    with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
        while True:
            os.write(file.fileno(), b"0" * 512)


def _states(database: Path) -> tuple[dict[str, str], float]:
    """Return addresses to states, and when it was last committed that something may be sent."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    query = "SELECT s.address, d.state FROM deliveries d JOIN subscribers s ON s.id = d.subscriber_id"
    states = dict(connection.execute(query).fetchall())
    (last,) = connection.execute("SELECT max(offered_at) FROM deliveries").fetchone()
    connection.close()
    return states, datetime.datetime.fromisoformat(last).replace(tzinfo=datetime.UTC).timestamp()
