"""The mails that were caught, read as their recipients would."""

import email
import email.policy
import re
import shutil
from dataclasses import dataclass
from email.message import EmailMessage
from functools import cached_property
from pathlib import Path
from typing import Final

from newsletter.catcher.mailbox import Mailbox
from newsletter.demo.errors import StoryError

_URL: Final = re.compile(r"https?://[^\s<>\"]+")
_ALL: Final = 100_000


@dataclass(frozen=True)
class Mail:
    """One caught message."""

    to: str
    path: Path

    @cached_property
    def message(self) -> EmailMessage:
        """The message, taken apart by Python's own parser."""
        found = email.message_from_bytes(self.path.read_bytes(), policy=email.policy.default)
        assert isinstance(found, EmailMessage)
        return found

    @cached_property
    def urls(self) -> list[str]:
        """All addresses in the text part, in its order."""
        part = self.message.get_body(("plain",))
        return _URL.findall(part.get_content()) if part is not None else []

    @property
    def list_slug(self) -> str:
        """The first word of the list's identifier (RFC 2919 section 2), which is the cadence's; empty: on no list."""
        found = re.search(r"<([^.>]+)\.[^>]*>\s*$", str(self.message["List-Id"] or ""))
        return found[1] if found else ""

    def link(self, path: str) -> str:
        """Return the first link whose address contains `path`. Raises StoryError when there is none."""
        for url in self.urls:
            if path in url:
                return url
        raise StoryError(f"The mail “{self.message['Subject']}” to {self.to} has no link to {path}.")

    @property
    def one_click(self) -> str:
        """Where one POST unsubscribes (RFC 8058 section 3.1). Raises StoryError when the headers do not offer it."""
        offered = re.findall(r"<(https?://[^>]+)>", str(self.message["List-Unsubscribe"] or ""))
        if not offered or self.message["List-Unsubscribe-Post"] != "List-Unsubscribe=One-Click":
            raise StoryError(f"The mail “{self.message['Subject']}” to {self.to} cannot be left by one click.")
        return str(offered[0])


class Postbox:
    """The catcher's folder, looked into from time to time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen = 0

    def count(self) -> int:
        """Return how many mails have been caught."""
        with Mailbox(self._folder) as mailbox:
            return mailbox.count()

    def waiting(self) -> int:
        """Return how many mails have come since they were last taken."""
        return self.count() - self._seen

    def take(self) -> list[Mail]:
        """Return the mails that have come since the last time, oldest first."""
        with Mailbox(self._folder) as mailbox:
            found = mailbox.page(size=_ALL)
        fresh = found[: len(found) - self._seen]
        self._seen = len(found)
        return [Mail(recipient, one.path) for one in reversed(fresh) for recipient in one.recipients]

    def copy_to(self, folder: Path) -> None:
        """Copy every message to `folder`, its bytes as they came. What an earlier demo put there makes room."""
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("demo-*.eml"):
            old.unlink()
        with Mailbox(self._folder) as mailbox:
            for one in mailbox.page(size=_ALL):
                shutil.copyfile(one.path, folder / f"demo-{one.path.name}")
