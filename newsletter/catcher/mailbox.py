"""Caught messages: one .eml each with the bytes as they came, and beside them an index of their envelopes.

The index (SQLite) lets the inbox search and turn pages without opening messages, and lets other processes look in.
"""

import datetime
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

KEEP: Final = 20_000
"""Messages that are kept; the oldest make room."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS caught (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    sender TEXT NOT NULL, recipients TEXT NOT NULL, received_at TEXT NOT NULL, size INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS caught_recipients ON caught (recipients);
"""
_COLUMNS = "number, sender, recipients, received_at, size"
_SEARCH = r"recipients LIKE '%' || ? || '%' ESCAPE '\'"


@dataclass(frozen=True)
class Caught:
    """The envelope of one message."""

    number: int
    sender: str
    recipients: tuple[str, ...]
    received_at: datetime.datetime
    size: int
    """Bytes."""
    path: Path


class Mailbox:
    """A folder of caught messages. Belongs to one thread; open as many as you like on the same folder."""

    def __init__(self, folder: Path, keep: int = KEEP) -> None:
        """Open the mailbox in `folder`, which is made when it is not there."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._keep = keep
        self._index = sqlite3.connect(folder / "envelopes.db", isolation_level=None, timeout=30)
        # What is caught may be lost with the machine's power, never with the process.
        self._index.execute("PRAGMA journal_mode = WAL")
        self._index.execute("PRAGMA synchronous = OFF")
        self._index.executescript(_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the index."""
        self._index.close()

    def add(self, message: bytes, sender: str, recipients: Sequence[str], now: datetime.datetime) -> int:
        """Keep `message` and return its number; it is whole under its name, or not there at all."""
        self._index.execute("BEGIN IMMEDIATE")
        try:
            row = self._index.execute(
                "INSERT INTO caught (sender, recipients, received_at, size) VALUES (?, ?, ?, ?) RETURNING number",
                (sender, "\n".join(recipients), now.isoformat(), len(message)),
            ).fetchone()
            number = int(row[0])
            part = self._folder / f"{number}.part"
            part.write_bytes(message)
            part.replace(self._path(number))
            past = self._index.execute(
                "DELETE FROM caught WHERE number <= ? RETURNING number", (number - self._keep,)
            ).fetchall()
            self._index.execute("COMMIT")
        except BaseException:
            self._index.execute("ROLLBACK")
            raise
        for (old,) in past:
            self._path(old).unlink(missing_ok=True)
        return number

    def get(self, number: int) -> Caught | None:
        """Return the envelope of one message."""
        row = self._index.execute(f"SELECT {_COLUMNS} FROM caught WHERE number = ?", (number,)).fetchone()  # noqa: S608  (our own columns)
        return self._caught(row) if row else None

    def page(self, search: str = "", before: int | None = None, size: int = 50) -> list[Caught]:
        """Return up to `size` envelopes, newest first, older than number `before`, with `search` in a recipient."""
        rows = self._index.execute(
            f"SELECT {_COLUMNS} FROM caught WHERE number < ? AND {_SEARCH} ORDER BY number DESC LIMIT ?",  # noqa: S608  (our own words)
            (before if before is not None else 2**63 - 1, _literal(search), size),
        )
        return [self._caught(row) for row in rows]

    def addressed_to(self, recipient: str) -> list[Caught]:
        """Return the envelopes of messages to exactly this one address, oldest first."""
        rows = self._index.execute(
            f"SELECT {_COLUMNS} FROM caught WHERE recipients = ? ORDER BY number",  # noqa: S608  (our own columns)
            (recipient,),
        )
        return [self._caught(row) for row in rows]

    def count(self, search: str = "") -> int:
        """Return how many messages have `search` in a recipient."""
        row = self._index.execute(f"SELECT count(*) FROM caught WHERE {_SEARCH}", (_literal(search),)).fetchone()  # noqa: S608  (our own words)
        return int(row[0])

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:08d}.eml"

    def _caught(self, row: tuple[int, str, str, str, int]) -> Caught:
        number, sender, recipients, received_at, size = row
        moment = datetime.datetime.fromisoformat(received_at)
        return Caught(number, sender, tuple(recipients.split("\n")), moment, size, self._path(number))


def _literal(search: str) -> str:
    for special in "\\%_":
        search = search.replace(special, f"\\{special}")
    return search
