"""`make chaos`: the experiments one after the other, a line of JSON for each.

make chaos ARGS="--only X1 --only X5 --seed 7 --full"
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.chaos.experiments import EXPERIMENTS
from tests.chaos.ground import running
from tests.chaos.result import Size
from tests.servers.given import Missing


def main() -> int:
    """Run what was asked for; return 1 if a promise was broken or an experiment could not be run."""
    parser = argparse.ArgumentParser(prog="make chaos", description="Break things while a digest goes out, and count.")
    parser.add_argument("--only", action="append", choices=EXPERIMENTS, metavar="X", help="Only this; may be repeated.")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000), help="Of whatever is left to chance.")
    parser.add_argument("--full", action="store_true", help="With the numbers of the promises; takes hours.")
    given = parser.parse_args()
    size = Size.FULL if given.full else Size.CI
    fine = True
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder, running(Path(folder)) as ground:
        for name in given.only or EXPERIMENTS:
            try:
                found = EXPERIMENTS[name](ground, size, given.seed).document()
            except Missing as missing:
                found = {"experiment": name, "ok": False, "missing": str(missing)}
            fine = fine and bool(found["ok"])
            print(json.dumps(found | {"commit": _commit()}, ensure_ascii=False), flush=True)
    return 0 if fine else 1


def _commit() -> str:
    done = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
