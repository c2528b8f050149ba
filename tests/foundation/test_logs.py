"""Logs carry ids, never addresses, tokens or passwords, whoever wrote the line."""

import json
import logging

import pytest

from newsletter.foundation.logs import JsonFormatter, TextFormatter, mask

LEAKS = [
    "reader anna.canary@example.org left",
    "GET /u/CanaryToken-_x.y HTTP/1.1",
    "POST /confirm/CanaryToken.abc",
    "https://news.example.org/preferences/CanaryToken",
    "smtp://canary:hunter2@mail.example.org:587",
    "MAIL FROM:<canary@x.example>",
    "'canary@example.org'",
]


@pytest.mark.parametrize("line", LEAKS)
def test_nothing_personal_or_secret_passes(line: str) -> None:
    masked = mask(line)
    assert "canary" not in masked.lower()
    assert "hunter2" not in masked


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_messages_extras_and_errors_are_masked(formatter: logging.Formatter) -> None:
    error = ValueError("bad address canary@example.org")
    record = logging.getLogger("x").makeRecord(
        "x", logging.ERROR, "f", 1, "%s failed", ("canary@example.org",), (ValueError, error, None)
    )
    record.reader = "canary@example.org"
    assert "canary" not in formatter.format(record)


def test_a_line_is_one_json_object_with_what_was_given_beside_it() -> None:
    record = logging.makeLogRecord({"name": "x", "levelname": "INFO", "msg": "two\nlines", "run": 7})
    line = JsonFormatter().format(record)
    assert "\n" not in line
    entry = json.loads(line)
    assert (entry["message"], entry["run"], entry["level"]) == ("two\nlines", 7, "info")
