"""JSON Feed 1.0 and 1.1 (jsonfeed.org). Every field may be missing or of the wrong type."""

import datetime
import json
from collections.abc import Iterator
from typing import Any

from newsletter.content.entries import MAX_LISTED, Draft, finish, first_url, language_tag, sensible_date
from newsletter.content.parsed import ParsedFeed
from newsletter.content.sanitising import html_of
from newsletter.content.text import plain
from newsletter.content.urls import web_url
from newsletter.foundation.errors import ParseError


def parse_json(body: bytes, url: str) -> ParsedFeed:
    """Read a JSON Feed found at `url`; raise ParseError when it is none."""
    try:
        document = json.loads(body.decode(json.detect_encoding(body), "replace").lstrip("\ufeff"))
    except RecursionError as problem:
        raise ParseError("This is JSON, nested too deeply to be a feed.") from problem
    except ValueError as problem:
        raise ParseError("This looks like JSON, but cannot be read as such.") from problem
    if not isinstance(document, dict) or "jsonfeed.org/version/1" not in _text(document.get("version")):
        raise ParseError("This is JSON, but not a JSON Feed.")
    base = url or web_url(_text(document.get("home_page_url")))
    items = document.get("items")
    if isinstance(items, list) and len(items) > MAX_LISTED:
        raise ParseError(f"The document has more than {MAX_LISTED} entries.")
    hubs = [_text(hub.get("url")) for hub in _objects(document.get("hubs")) if _text(hub.get("type")) == "WebSub"]
    return ParsedFeed(
        kind="json",
        title=plain(_text(document.get("title"))),
        site_url=web_url(_text(document.get("home_page_url")), base),
        language=language_tag(document.get("language")),
        hub_url=first_url(hubs, base),
        entries=finish([_draft(item, base) for item in _objects(items)]),
    )


def _draft(item: dict[str, Any], base: str) -> Draft:
    identity = _text(item.get("id"))
    url = first_url((_text(item.get("url")), _text(item.get("external_url"))), base)
    if not url and identity.startswith(("http://", "https://")):
        url = web_url(identity)
    authors = [*_objects(item.get("authors")), *_objects([item.get("author")])]
    attachments = [
        _text(attached.get("url"))
        for attached in _objects(item.get("attachments"))
        if _text(attached.get("mime_type")).startswith("image/")
    ]
    tags = item.get("tags")
    return Draft(
        id=identity,
        url=url,
        title=_text(item.get("title")),
        summary=html_of(_text(item.get("summary"))),
        body=_text(item.get("content_html")) or html_of(_text(item.get("content_text"))),
        base=url or base,
        author=next((name for author in authors if (name := _text(author.get("name")))), ""),
        images=[
            web_url(found, base) for found in (_text(item.get("image")), _text(item.get("banner_image")), *attachments)
        ],
        published_at=_date(item.get("date_published")) or _date(item.get("date_modified")),
        terms=[(_text(tag), "") for tag in tags] if isinstance(tags, list) else [],
    )


def _objects(value: object) -> Iterator[dict[str, Any]]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())


def _text(value: object) -> str:
    """Return a string as it is and a number as text: 1.0 feeds have numeric ids."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _date(value: object) -> datetime.datetime | None:
    """Read RFC 3339; without a zone it counts as UTC."""
    try:
        when = datetime.datetime.fromisoformat(_text(value).strip())
        return sensible_date(when if when.tzinfo else when.replace(tzinfo=datetime.UTC))
    except (ValueError, OverflowError):
        return None
