"""A worker as `newsletter worker` starts it: what an experiment cannot wait for made shorter, what it waits for longer.

    python -m tests.chaos.worker [--bells SECONDS] [--lease SECONDS] [--locks SECONDS] -- worker …

The program itself carries no hooks: everything is put around it here, before its own command is run.
"""

import argparse
import datetime
import fcntl
import sys
import time
from functools import partial
from typing import Final
from unittest import mock

from newsletter import cli
from newsletter.delivery.ledger import Ledger
from newsletter.foundation.queue import queue
from newsletter.tasks import engines

PROGRAM: Final = (sys.executable, "-m", "tests.chaos.worker")


def ring_faster(seconds: float) -> None:
    """Let the schedule ring at least every so often. Embedded workers look each second anyway."""
    for entry in queue.conf.beat_schedule.values():
        entry["schedule"] = min(entry["schedule"], seconds)


def shorten_leases(seconds: float) -> None:
    """Let leases end after so many seconds instead of minutes."""
    mock.patch.object(engines, "Ledger", partial(Ledger, lease=datetime.timedelta(seconds=seconds))).start()


def lock_slowly(seconds: float) -> None:
    """Let so much time pass after each file that is locked: who recovers at the same moment comes in between."""
    flock = fcntl.flock

    def slowly(fd: int, operation: int) -> None:
        flock(fd, operation)
        time.sleep(seconds)

    mock.patch.object(fcntl, "flock", slowly).start()


def main() -> None:
    """Change what was asked for, then be the command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bells", type=float)
    parser.add_argument("--lease", type=float)
    parser.add_argument("--locks", type=float)
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    if given.bells:
        ring_faster(given.bells)
    if given.lease:
        shorten_leases(given.lease)
    if given.locks:
        lock_slowly(given.locks)
    sys.argv = ["newsletter", *given.command]
    cli.main()


if __name__ == "__main__":
    main()
