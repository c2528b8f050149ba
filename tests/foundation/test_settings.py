"""Settings: every problem at once, nothing weak in production, nothing secret in a message."""

from pathlib import Path

import pytest

from newsletter.foundation.errors import SettingsError
from newsletter.foundation.settings import load
from tests.conftest import make_settings

GOOD = "r4ndom-enough-for-a-test-0123456789abcdefg"


def problems(tmp_path: Path, **overrides: object) -> str:
    with pytest.raises(SettingsError) as caught:
        make_settings(tmp_path, **overrides)
    return str(caught.value)


def test_everything_that_is_missing_is_named_in_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError) as caught:
        load(_env_file=None)
    for name in ("SECRET_KEYS", "LINK_KEYS", "DATA_KEYS", "HASH_KEY", "PUBLIC_URL", "SMTP_URL"):
        assert f"NEWSLETTER_{name}" in str(caught.value)


@pytest.mark.parametrize("key", ["tiny-one", "a" * 50, "please-change-me-0123456789abcdefghijklmnop", ""])
def test_a_weak_key_is_refused_and_not_repeated(tmp_path: Path, key: str) -> None:
    message = problems(tmp_path, secret_keys=(key,))
    assert "NEWSLETTER_SECRET_KEYS" in message
    assert not key or key not in message


def test_production_refuses_debug_and_http_in_one_go(tmp_path: Path) -> None:
    message = problems(tmp_path, mode="production", debug=True, public_url="http://news.example.org")
    assert "NEWSLETTER_DEBUG" in message
    assert "NEWSLETTER_PUBLIC_URL" in message


def test_production_takes_http_only_on_this_machine(tmp_path: Path) -> None:
    assert make_settings(tmp_path, mode="production", public_url="http://127.0.0.1:8000").on_loopback
    assert "PUBLIC_URL" in problems(tmp_path, mode="production", public_url="http://127.0.0.1.example.org")


@pytest.mark.parametrize(
    "url", ["news.example.org", "ftp://x.example", "https://", "https://x.example/?a=b", "https:///x"]
)
def test_a_public_url_that_is_none_is_refused(tmp_path: Path, url: str) -> None:
    assert "NEWSLETTER_PUBLIC_URL" in problems(tmp_path, public_url=url)


@pytest.mark.parametrize(
    "url",
    [
        "http://me:hunter2secret@mail.example",
        "smtp://me:hunter2secret@",
        "smtp://me:hunter2secret@mail.example:port",
        "smtp://me:hunter2secret@mail.example:0",
        "smtp://me:hunter2secret@[mail.example",
        "smtp://me:hunter2secret@mail.example?starttls=maybe",
        "smtp://me:hunter2secret@mail.example?starttls",
        "smtp://me:hunter2secret@mail.example?verify=no",
    ],
)
def test_a_relay_url_that_is_none_is_refused_without_its_password(tmp_path: Path, url: str) -> None:
    message = problems(tmp_path, smtp_url=url)
    assert "NEWSLETTER_SMTP_URL" in message
    assert "hunter2secret" not in message


def test_a_relay_url_may_say_how_it_is_secured(tmp_path: Path) -> None:
    for options in ("starttls=required", "starttls=opportunistic&auth=clear", "hello=news.example.org"):
        make_settings(tmp_path, smtp_url=f"smtp://me:hunter2secret@mail.example?{options}")


def test_malformed_numbers_and_words_are_named(tmp_path: Path) -> None:
    message = problems(tmp_path, trusted_proxies="many", log_level="LOUD", mode="playful")
    for name in ("TRUSTED_PROXIES", "LOG_LEVEL", "MODE"):
        assert f"NEWSLETTER_{name}" in message


def test_the_environment_and_the_file_are_read_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(
        f"NEWSLETTER_SECRET_KEYS={GOOD}1,{GOOD}2\nNEWSLETTER_LINK_KEYS={GOOD}\nNEWSLETTER_DATA_KEYS={GOOD}\n"
        f"NEWSLETTER_HASH_KEY={GOOD}\nNEWSLETTER_PUBLIC_URL=https://file.example\nNEWSLETTER_SMTP_URL=smtp://m.example\n"
        "SOMETHING_ELSE=1\n"
    )
    monkeypatch.setenv("NEWSLETTER_PUBLIC_URL", "https://environment.example/")
    settings = load(_env_file=str(tmp_path / ".env"))
    assert settings.public_url == "https://environment.example"
    assert [key.get_secret_value()[-1] for key in settings.secret_keys] == ["1", "2"]
    assert GOOD not in repr(settings)


def test_without_redis_one_worker_does_all_the_work(tmp_path: Path) -> None:
    assert make_settings(tmp_path).embedded
    assert not make_settings(tmp_path, redis_url="redis://127.0.0.1").embedded
    assert make_settings(tmp_path).database == f"sqlite:///{tmp_path}/newsletter.db"


def test_templates_are_a_folder_with_a_folder_for_mail(tmp_path: Path) -> None:
    (tmp_path / "own" / "email").mkdir(parents=True)
    assert make_settings(tmp_path, templates=str(tmp_path / "own")).templates == str(tmp_path / "own")
    with pytest.raises(SettingsError, match=r"NEWSLETTER_TEMPLATES must be a folder"):
        make_settings(tmp_path, templates=str(tmp_path / "nowhere"))
