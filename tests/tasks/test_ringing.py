"""Ringing: nobody waits for a broker that is away."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
from pathlib import Path

from kombu.utils import functional

from newsletter.app import create_app
from newsletter.tasks import ringing
from tests.conftest import make_settings

functional.sleep = lambda seconds: sys.exit(f"it waits {seconds} s before it tries again")
app = create_app(make_settings(Path(sys.argv[1]), redis_url=sys.argv[2], database_url="postgresql://127.0.0.1:1/none"))
with app.app_context():
    print(ringing.ring(ringing.SEND), ringing.ring(ringing.CONFIRM))
"""


def test_a_bell_that_cannot_be_rung_is_given_up_at_once(tmp_path: Path) -> None:
    words = [sys.executable, "-c", PROGRAM, str(tmp_path), "redis://127.0.0.1:1/0"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["False", "False"]), done.stderr
