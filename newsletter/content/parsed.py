"""What a document becomes: values that are safe to store and show, whoever wrote the feed."""

import dataclasses
import datetime
from typing import Any, Final, Literal

from newsletter.foundation.errors import ParseError

Kind = Literal["rss", "atom", "json"]
CPU_SECONDS: Final = 10
"""For one document; the kernel ends the child that uses more."""


class WebPageError(ParseError):
    """The document is a web page; it may name feeds."""


@dataclasses.dataclass(frozen=True, slots=True)
class Term:
    """A feed's own word for a category."""

    name: str
    scheme: str = ""
    """The vocabulary it is from: RSS `domain`, Atom `scheme`."""


@dataclasses.dataclass(frozen=True, slots=True)
class ParsedEntry:
    """One entry. Texts are plain text without control characters; URLs are absolute http(s) or empty."""

    identity: str
    """What makes it the same entry next time (standards I6); never empty."""
    url: str
    title: str
    summary: str
    """At most some 300 characters."""
    html: str
    """Sanitised; may be shown as it stands."""
    author: str
    image_url: str
    published_at: datetime.datetime | None
    """Aware, UTC; as the feed says, so it may lie in the future or be wrong."""
    categories: tuple[Term, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class ParsedFeed:
    """One document, newest entries only where it has very many."""

    kind: Kind
    title: str
    site_url: str
    language: str
    """A language tag, or empty."""
    hub_url: str
    """Where it can be subscribed to (WebSub), or empty."""
    entries: tuple[ParsedEntry, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate:
    """A feed that a web page names."""

    url: str
    title: str


def to_json(feed: ParsedFeed) -> dict[str, Any]:
    """Return `feed` as plain JSON values."""
    plain = dataclasses.asdict(feed)
    for entry in plain["entries"]:
        entry["published_at"] = entry["published_at"] and entry["published_at"].isoformat()
    return plain


def from_json(plain: dict[str, Any]) -> ParsedFeed:
    """Undo `to_json`."""
    entries = tuple(
        ParsedEntry(
            **entry
            | {
                "published_at": entry["published_at"] and datetime.datetime.fromisoformat(entry["published_at"]),
                "categories": tuple(Term(**term) for term in entry["categories"]),
            }
        )
        for entry in plain["entries"]
    )
    return ParsedFeed(**plain | {"entries": entries})
