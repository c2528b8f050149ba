"""A web of a few documents in the place of the network."""

import dataclasses

from flask import Flask

from newsletter.foundation.errors import FetchError
from newsletter.foundation.fetch import Fetched

SITE = "https://wire.example/"
FEED = "https://wire.example/feed.xml"


def rss(*items: tuple[str, str]) -> str:
    """Return a feed of (headline, word for its category)."""
    entries = "".join(
        f"<item><guid>{title}</guid><title>{title}</title><link>https://wire.example/{number}</link>"
        f"<category>{word}</category></item>"
        for number, (title, word) in enumerate(items)
    )
    return f'<rss version="2.0"><channel><title>Wire</title><link>{SITE}</link>{entries}</channel></rss>'


class Web:
    """Answers as the fetcher does, from what stands in `documents`."""

    def __init__(self) -> None:
        self.documents = {
            SITE: ("text/html", f'<html><link rel="alternate" type="application/rss+xml" href="{FEED}"></html>'),
            FEED: ("application/rss+xml", rss(("Old news", "Business"))),
        }
        self.asked_with: list[tuple[str, str] | None] = []

    def fetch(
        self,
        url: str,
        *,
        etag: str | None = None,
        last_modified: str | None = None,
        authorization: tuple[str, str] | None = None,
    ) -> Fetched:
        """Return the document at `url`, or raise as the fetcher does."""
        self.asked_with.append(authorization)
        if url not in self.documents:
            raise FetchError("The server answered 404 (not found).", status=404)
        kind, text = self.documents[url]
        return Fetched(url, 200, {"content-type": kind}, text.encode(), None)

    def install(self, app: Flask) -> "Web":
        """Take the fetcher's place in `app`."""
        app.extensions["newsletter"] = dataclasses.replace(app.extensions["newsletter"], fetcher=self)
        return self
