"""Show what a source would give, or why it gives nothing. Stores nothing."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypedDict

from newsletter.content.parsed import Candidate, ParsedEntry, ParsedFeed, WebPageError
from newsletter.content.parser import MAX_DOCUMENT
from newsletter.foundation.errors import FetchError, InvalidError, NewsletterError, ParseError
from newsletter.foundation.fetch import Fetched
from newsletter.foundation.targets import read_target


class Fetches(Protocol):
    """What is needed of a fetcher."""

    def fetch(self, url: str, *, authorization: tuple[str, str] | None = None) -> Fetched:
        """Fetch `url`; raise FetchError."""


class Parses(Protocol):
    """What is needed of a parser."""

    def parse(self, body: bytes, url: str = "", content_type: str | None = None) -> ParsedFeed:
        """Read a feed; raise ParseError."""

    def discover(
        self, body: bytes, url: str, content_type: str | None = None, link_header: str = ""
    ) -> Sequence[Candidate]:
        """Return the feeds that a page names."""


class ArticleRecord(TypedDict):
    """One article as it would be ingested."""

    id: str
    url: str
    title: str
    published_at: str | None
    categories: list[str]
    summary: str
    html: str


class TrialRecord(TypedDict):
    """The outcome for one source."""

    source: str
    ok: bool
    error: str | None
    title: str
    articles: list[ArticleRecord]


def try_source(source: str, fetcher: Fetches, parser: Parses) -> TrialRecord:
    """Read the feed at `source`, a web address (also of a page that names its feed) or the path of a file."""
    try:
        feed = _from_url(source, fetcher, parser) if _is_url(source) else _from_file(source, parser)
    except NewsletterError as problem:
        return {"source": source, "ok": False, "error": str(problem), "title": "", "articles": []}
    articles = [_record(entry) for entry in feed.entries]
    return {"source": source, "ok": True, "error": None, "title": feed.title, "articles": articles}


def read_feed(
    url: str, fetcher: Fetches, parser: Parses, credentials: tuple[str, str] | None = None
) -> tuple[str, ParsedFeed]:
    """Fetch and parse the feed at `url`; where that is a web page, the first readable feed that it names.

    Return the feed's own address, too. `credentials` (user, password) go to the host of `url` only. Raises FetchError
    or ParseError.
    """
    found = fetcher.fetch(url, authorization=credentials)
    try:
        return found.permanent_url or url, _parse(found, parser)
    except WebPageError:
        content_type, link = found.headers.get("content-type"), found.headers.get("link", "")
        candidates = parser.discover(found.body, found.url, content_type, link)
    if not candidates:
        raise ParseError("This is a web page that names no feed. Enter the address of the feed itself.")
    origin = read_target(url).origin
    problem: NewsletterError | None = None
    for candidate in candidates[:3]:
        try:
            own = credentials if read_target(candidate.url).origin == origin else None
            found = fetcher.fetch(candidate.url, authorization=own)
            return found.permanent_url or candidate.url, _parse(found, parser)
        except (FetchError, ParseError) as failure:
            problem = problem or failure
    raise ParseError(f"This is a web page. The feed it names, {candidates[0].url}, cannot be read: {problem}")


def _parse(found: Fetched, parser: Parses) -> ParsedFeed:
    return parser.parse(found.body, found.url, found.headers.get("content-type"))


def _from_url(url: str, fetcher: Fetches, parser: Parses) -> ParsedFeed:
    return read_feed(url, fetcher, parser)[1]


def _from_file(name: str, parser: Parses) -> ParsedFeed:
    path = Path(name)
    try:
        if path.is_dir():
            raise InvalidError("This is a folder. Name the file of a feed in it.")
        if not path.exists():
            raise InvalidError("There is no such file. The address of a site begins with https://.")
        if not path.is_file():
            raise InvalidError("This is no regular file.")
        with path.open("rb") as file:
            body = file.read(MAX_DOCUMENT + 1)
    except (OSError, ValueError) as problem:
        raise InvalidError("The file cannot be read.") from problem
    try:
        return parser.parse(body)
    except WebPageError as page:
        named = [found.url for found in parser.discover(body, "")]
        hint = f" It names {', '.join(named)}." if named else ""
        raise ParseError(f"{page}{hint}") from page


def _is_url(source: str) -> bool:
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://|(?:file|data|feed):", source) is not None


def _record(entry: ParsedEntry) -> ArticleRecord:
    return {
        "id": entry.identity,
        "url": entry.url,
        "title": entry.title,
        "published_at": entry.published_at.isoformat() if entry.published_at else None,
        "categories": [term.name for term in entry.categories],
        "summary": entry.summary,
        "html": entry.html,
    }
