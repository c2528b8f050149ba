"""The command as a program: its exit statuses, and `init` on a folder that holds nothing."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

from newsletter import __version__, tables  # noqa: F401  (so that `Base` knows every room's)
from newsletter.foundation.db import Base

FEED = """<?xml version="1.0"?><rss version="2.0"><channel><title>News</title><link>https://gazette.example/</link>
<item><guid>1</guid><title>Ünïted</title><link>https://gazette.example/1</link><category>World</category></item>
</channel></rss>"""
INIT = (
    "init", "--public-url", "https://news.example.org", "--smtp-url", "smtp://u:p'x%23y@127.0.0.1:25",
    "--name", "The Gazette", "--site-url", "https://gazette.example", "--category", "Business", "--category", "World",
)  # fmt: skip


def newsletter(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program in `folder`, with nothing of ours in its environment."""
    program = Path(sys.executable).with_name("newsletter")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NEWSLETTER_")}  # noqa: TID251
    return subprocess.run(
        [program, *arguments], cwd=folder, env=clean | environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_it_says_which_version_it_is_without_any_settings(tmp_path: Path) -> None:
    result = newsletter(tmp_path, "--version")
    assert (result.returncode, result.stdout) == (0, f"newsletter, version {__version__}\n")


def test_unusable_settings_end_it_with_every_problem(tmp_path: Path) -> None:
    result = newsletter(tmp_path, "operators", "list", NEWSLETTER_SECRET_KEYS="short")
    assert result.returncode == 2
    for name in ("SECRET_KEYS", "LINK_KEYS", "DATA_KEYS", "HASH_KEY", "PUBLIC_URL", "SMTP_URL"):
        assert f"NEWSLETTER_{name}" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_init_makes_all_there_is_and_a_second_time_changes_nothing(tmp_path: Path) -> None:
    first = newsletter(tmp_path, *INIT)
    assert first.returncode == 0, first.stderr
    assert "newsletter operators add" in first.stderr
    env = tmp_path / ".env"
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    before = env.read_text()
    second = newsletter(tmp_path, *INIT)
    assert second.returncode == 0, second.stderr
    assert env.read_text() == before
    shown = newsletter(tmp_path, "categories", "list", "--json")
    assert [one["name"] for one in json.loads(shown.stdout)] == ["Business", "World"]
    digests = newsletter(tmp_path, "digests", "list", "--json")
    assert [one["cadence"] for one in json.loads(digests.stdout)] == ["daily", "weekly"]


def test_init_says_what_it_needs_where_nobody_can_be_asked(tmp_path: Path) -> None:
    result = newsletter(tmp_path, "init")
    assert result.returncode == 2
    assert "--public-url is needed" in result.stderr
    assert not (tmp_path / ".env").exists()


def test_init_writes_nothing_when_what_was_given_is_unusable(tmp_path: Path) -> None:
    result = newsletter(
        tmp_path, "init", "--public-url", "http://news.example.org", "--smtp-url", "smtp://mail.example.org"
    )
    assert result.returncode == 2
    assert "must start with https://" in result.stderr
    assert not (tmp_path / ".env").exists()


def test_init_leaves_a_half_finished_env_alone(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("NEWSLETTER_PUBLIC_URL=https://news.example.org\n")
    result = newsletter(tmp_path, *INIT)
    assert result.returncode == 2
    assert "NEWSLETTER_SECRET_KEYS is missing" in result.stderr
    assert (tmp_path / ".env").read_text() == "NEWSLETTER_PUBLIC_URL=https://news.example.org\n"


def test_sources_can_be_tried_with_neither_settings_nor_database(tmp_path: Path) -> None:
    (tmp_path / "good.xml").write_text(FEED, encoding="utf-8")
    (tmp_path / "bad.xml").write_text("<html>")
    result = newsletter(tmp_path, "sources", "try", "good.xml", "bad.xml", "none.xml", "--json")
    assert result.returncode == 0, result.stderr
    good, bad, none = (json.loads(line) for line in result.stdout.splitlines())
    assert (good["source"], good["ok"], good["error"], good["title"]) == ("good.xml", True, None, "News")
    assert good["articles"][0]["title"] == "Ünïted"
    assert good["articles"][0]["categories"] == ["World"]
    assert set(good["articles"][0]) == {"id", "url", "title", "published_at", "categories", "summary", "html"}
    for failed in (bad, none):
        assert failed["ok"] is False
        assert failed["error"]
        assert failed["articles"] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.xml", "good.xml"]


def test_help_needs_no_settings(tmp_path: Path) -> None:
    result = newsletter(tmp_path, "deliveries", "settle", "--help")
    assert result.returncode == 0
    assert "Usage: newsletter deliveries settle" in result.stdout


def test_adopting_in_a_process_of_its_own_knows_every_rooms_tables(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
    assert newsletter(old, *INIT).returncode == 0
    (new / ".env").write_bytes((old / ".env").read_bytes())
    made = newsletter(new, "db", "upgrade")
    assert made.returncode == 0, made.stderr
    adopted = newsletter(new, "adopt", str(old / "var" / "newsletter.db"), "--json")
    assert adopted.returncode == 0, adopted.stderr
    copied = json.loads(adopted.stdout)
    assert set(copied) == set(Base.metadata.tables)
    assert (copied["publications"], copied["categories"], copied["cadences"]) == (1, 2, 2)
