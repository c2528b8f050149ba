"""The demo's folder, keys and ports: what it claims, what it removes, what it must never touch."""

import os
import socket
from pathlib import Path

import pytest

from newsletter.demo.ground import MARK, Ground, Ports, claim, environment
from newsletter.foundation.errors import ConflictError
from newsletter.foundation.settings import Settings, load

PORTS = Ports(web=8000, site=8090, smtp=8025, inbox=8026)


def test_an_earlier_demos_things_go_and_everything_else_stays(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with claim(folder) as ground:
        ground.data.mkdir()
        (ground.data / "newsletter.db").write_text("old")
        ground.signup_form.write_text("old")
        environment(ground, PORTS, ())
    (folder / "notes.txt").write_text("mine")
    with claim(folder):
        assert sorted(path.name for path in folder.iterdir()) == [MARK, "notes.txt"]


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "newsletter.db").write_text("somebody's")
    with pytest.raises(ConflictError, match="--folder"), claim(tmp_path):
        pass
    assert (tmp_path / "data" / "newsletter.db").read_text() == "somebody's"
    assert not (tmp_path / MARK).exists()


def test_what_a_link_leads_to_is_left_alone(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("mine")
    folder = tmp_path / "demo"
    with claim(folder):
        pass
    (folder / "data").symlink_to(elsewhere)
    with claim(folder):
        assert not (folder / "data").is_symlink()
    assert (elsewhere / "kept").read_text() == "mine"


def test_two_demos_never_share_a_folder(tmp_path: Path) -> None:
    with claim(tmp_path / "demo") as ground:
        ground.data.mkdir()
        with pytest.raises(ConflictError, match="Another demo is running"), claim(tmp_path / "demo"):
            pass
        assert ground.data.exists()


def test_the_environment_leaves_no_setting_to_chance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWSLETTER_DATABASE_URL", "postgresql://somebody's")
    monkeypatch.setenv("NEWSLETTER_REDIS_URL", "redis://somebody's")
    given = environment(Ground(tmp_path), PORTS, ["feeds.example:8443"])
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = load(_env_file=None)
    assert len(given) == len(Settings.model_fields)
    assert settings.database == f"sqlite:///{tmp_path / 'data' / 'newsletter.db'}"
    assert settings.embedded
    assert settings.fetch_allow_hosts == ("127.0.0.1:8090", "feeds.example:8443")
    assert settings.trusted_proxies == 0


def test_only_its_owner_reads_the_keys_and_each_demo_has_its_own(tmp_path: Path) -> None:
    given = environment(Ground(tmp_path), PORTS, ())
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
    (tmp_path / ".env").unlink()
    again = environment(Ground(tmp_path), PORTS, ())
    keys = ("NEWSLETTER_SECRET_KEYS", "NEWSLETTER_LINK_KEYS", "NEWSLETTER_DATA_KEYS", "NEWSLETTER_HASH_KEY")
    assert len({*map(given.get, keys), *map(again.get, keys)}) == 8


def test_the_env_file_holds_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("NEWSLETTER_")]:  # noqa: TID251  (to be without them)
        monkeypatch.delenv(name)
    given = environment(Ground(tmp_path), PORTS, ())
    settings = load(_env_file=tmp_path / ".env")
    assert settings.hash_key.get_secret_value() == given["NEWSLETTER_HASH_KEY"]
    assert settings.public_url == "http://127.0.0.1:8000"


def test_a_busy_port_is_named_with_the_way_out() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = taken.getsockname()[1]
        with pytest.raises(ConflictError, match=rf"Port {busy} .* --inbox-port"):
            Ports.choose(web=0, site=0, smtp=0, inbox=busy)


def test_two_programs_never_get_the_same_port() -> None:
    chosen = Ports.choose(web=0, site=0, smtp=0, inbox=0)
    assert len(set(vars(chosen).values())) == 4
    with pytest.raises(ConflictError, match="--web-port and --smtp-port"):
        Ports.choose(web=chosen.web, site=0, smtp=chosen.web, inbox=0)
