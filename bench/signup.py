"""Sign-ups per second: our form on our server, beside a bare Flask view on a server with the same settings."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from flask import Flask
from sqlalchemy import func, select

from bench.figures import Figure
from bench.measuring import Effort, medians
from bench.places import CATEGORIES, Database, application, installation
from newsletter.audience.models import SignupRequest
from newsletter.foundation.db import db
from newsletter.foundation.ports import free_port, page_answers, port_answers
from tests.journeys.processes import Installation, eventually

ROOT: Final = Path(__file__).resolve().parents[1]
_PATH: Final = "/subscribe"
_VISITORS: Final = 16


def measure(database: Database, effort: Effort) -> Iterator[Figure]:
    """Measure sign-ups on one database."""
    with installation(database) as place:
        place.command("seed", "--readers", "0", "--categories", str(CATEGORIES), "--articles", "0")
        ours, bare = _serve(place)
        with application(place) as app:
            form = _form(app)
            measured, limit = medians(
                effort.rounds,
                partial(_post, ours, form, 303, effort.seconds),
                partial(_post, bare, form, 200, effort.seconds),
            )
            stored = db.session.scalar(select(func.count()).select_from(SignupRequest)) or 0
            assert stored >= measured * effort.seconds, f"{stored} sign-ups were stored, {measured:.0f}/s answered"
    yield Figure(f"signup-{database}", measured, "requests/s", "bare Flask view, same server", limit)


def _serve(place: Installation) -> tuple[int, int]:
    """Start our server, and one with the same arguments for the bare view; return their ports."""
    ours, bare = free_port(), free_port()
    process = place.start("serve", "--port", str(ours))
    eventually(lambda: page_answers(ours, "/health/live"), every=0.2)
    # `serve` has become gunicorn: its arguments are the settings that both shall have.
    arguments = Path(f"/proc/{process.pid}/cmdline").read_text().split("\0")[:-1]
    replaced = {f"127.0.0.1:{ours}": f"127.0.0.1:{bare}", "newsletter.app:create_app()": "bench.bare:app"}
    place.running.append(
        subprocess.Popen(
            [replaced.get(word, word) for word in arguments],
            cwd=place.folder,
            env=place.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    )
    eventually(lambda: port_answers(bare), every=0.2)
    return ours, bare


def _form(app: Flask) -> str:
    """Return what a browser posts that has filled in the form for other sites."""
    page = app.test_client().get(f"{_PATH}/embed", headers={"Accept-Language": "en"}).text
    words = re.search(r'name="consent" value="(\d+)"', page)
    topics = re.findall(r'name="categories" value="([^"]+)"', page)
    pace = re.search(r'name="cadence" value="([^"]+)"', page)
    assert words is not None
    assert pace is not None
    chosen = [("form", "embed"), ("language", "en"), ("cadence", pace[1]), ("consent", words[1])]
    return urlencode([*chosen, *(("categories", topic) for topic in topics[:2])]) + "&address=reader-{}%40example.org"


def _post(port: int, form: str, status: int, seconds: float) -> float:
    order = {
        "port": port,
        "path": _PATH,
        "form": form,
        "status": status,
        "first": 0,
        "connections": _VISITORS,
        "seconds": seconds,
    }
    done = subprocess.run(
        [sys.executable, "-m", "bench.load", json.dumps(order)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout)
