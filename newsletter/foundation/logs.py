"""Structured logs, one JSON object a line, without addresses and tokens: ids are enough to find what happened."""

import json
import logging
import logging.config
import re
from typing import Any, Final

_ADDRESS: Final = re.compile(r"[^\s@<>\"'=:,;()\[\]]+@[^\s@<>\"',;()\[\]]+")
_TOKEN: Final = re.compile(r"/(u|leave|preferences|confirm|reconfirm|not-me|undo|b)/[\w.\-=]+")
_USERINFO: Final = re.compile(r"://[^/\s@]+@")
_OWN: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


def mask(text: str) -> str:
    """Return `text` without e-mail addresses, tokens of our links, and passwords in URLs."""
    if "@" not in text and "/" not in text:
        return text
    text = _USERINFO.sub("://…@", text)
    return _TOKEN.sub(r"/\1/…", _ADDRESS.sub("…@…", text))


class JsonFormatter(logging.Formatter):
    """Formats a record as JSON: time, level, logger, message, and whatever `extra=` carried."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry.update({name: value for name, value in record.__dict__.items() if name not in _OWN})
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return mask(json.dumps(entry, default=str, ensure_ascii=False))


class TextFormatter(logging.Formatter):
    """Formats a record for a person at a terminal."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record))


def configure(level: str, style: str) -> None:
    """Send all logs of this process to standard error as `style` (`json` or `text`)."""
    formatter = JsonFormatter if style == "json" else TextFormatter
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"lines": {"()": formatter}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
            "root": {"level": level, "handlers": ["stderr"]},
            "loggers": {name: {"level": "WARNING"} for name in ("werkzeug", "kombu", "amqp", "alembic")},
        }
    )
