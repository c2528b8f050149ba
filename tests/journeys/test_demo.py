"""The demo itself, as a newcomer runs it: in processes of its own, on ports of its own."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from newsletter.foundation.ports import port_answers
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer

ROOT = Path(__file__).resolve().parents[2]
JUDGE = ROOT.parent / "shared" / "judge" / "mail.py"
HEISE = ROOT.parent / "shared" / "data" / "feeds" / "real-world" / "heise-atom-de.xml"
ANY_PORTS = ["--web-port=0", "--site-port=0", "--smtp-port=0", "--inbox-port=0"]


def start(folder: Path, *words: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "newsletter", "demo", *ANY_PORTS, "--folder", folder, *words],
        # The settings of another service lie about: the demo must not touch it.
        env={**os.environ, "NEWSLETTER_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"},  # noqa: TID251  (handed on)
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def told(folder: Path, *words: str | Path) -> dict[str, Any]:
    """Play the demo to its end; its JSON document, which must be all there is on standard output."""
    output, errors = (process := start(folder, "--exit", "--json", *words)).communicate(timeout=240)
    found: dict[str, Any] = json.loads(output)
    assert found["problems"] == [], errors
    assert (found["ok"], process.returncode) == (True, 0)
    return found


def test_the_story_is_told_and_all_counts_agree(tmp_path: Path) -> None:
    found = told(tmp_path / "demo", "--mails", tmp_path / "mails")
    assert [step["name"] for step in found["steps"]][0::9] == ["The service starts", "The books are compared"]
    assert found["caught"] == found["deliveries"]["accepted"] == sum(found["deliveries"].values()) == 102 + 100 + 98
    assert [run["cadence"] for run in found["runs"]] == ["daily", "weekly"] * 2
    assert all(run["planned"] == run["accepted"] == run["caught"] > 0 for run in found["runs"])
    mails = list((tmp_path / "mails").iterdir())
    assert Counter(mail.suffix for mail in mails) == {".eml": found["caught"]}
    if not JUDGE.exists():
        assert os.environ.get("CI") != "true", f"The judge of mails is missing: {JUDGE}"  # noqa: TID251  (where it runs)
        pytest.skip(f"All went well, but the judge of mails is not there: {JUDGE}")
    judged = subprocess.run(
        [sys.executable, JUDGE, tmp_path / "mails", "--loopback"], capture_output=True, text=True, check=False
    )
    assert judged.returncode == 0, judged.stdout


@pytest.mark.postgres
@pytest.mark.redis
def test_the_same_story_is_told_with_postgresql_redis_and_celery_workers(
    tmp_path: Path, postgres_server: PostgresServer, redis_server: RedisServer
) -> None:
    redis_server.flush()
    with postgres_server.database() as url:
        found = told(tmp_path / "demo", "--database-url", url, "--redis-url", redis_server.url)
    assert found["caught"] == found["deliveries"]["accepted"] == sum(found["deliveries"].values()) == 102 + 100 + 98
    worker = (tmp_path / "demo" / "logs" / "worker.log").read_text()
    assert "redis://" in worker, "Celery's own workers did it"


@pytest.mark.corpus
def test_a_feed_from_a_file_takes_the_sample_sites_place(tmp_path: Path) -> None:
    if not HEISE.exists():
        assert os.environ.get("CI") != "true", f"The feeds are missing: {HEISE}"  # noqa: TID251  (where it runs)
        pytest.skip(f"The feeds are not there: {HEISE}")
    found = told(tmp_path / "demo", "--feed", HEISE)
    first, second = found["runs"][:2], found["runs"][2:]
    assert sum(run["caught"] for run in first) == 100
    assert sum(run["caught"] for run in second) == 98


def test_ctrl_c_stops_everything(tmp_path: Path) -> None:
    process = start(tmp_path / "demo")
    try:
        assert process.stderr is not None
        assert "The service starts" in process.stderr.readline()
        env = dict(line.split("=", 1) for line in (tmp_path / "demo" / ".env").read_text().splitlines()[1:])
        port = int(env["NEWSLETTER_PUBLIC_URL"].strip("'").rpartition(":")[2])
        assert port_answers(port)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert "Stopped." in errors
    assert "Traceback" not in errors
    assert process.returncode == 130
    assert not port_answers(port)
