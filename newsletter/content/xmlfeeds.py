"""RSS 0.9x, 1.0 and 2.0, Atom and CDF, by way of feedparser.

feedparser forgives what feeds do wrong; its sanitiser and its resolving of URLs are switched off, for we do both
ourselves, once. It is given no address of the document, so that a bare guid stays what the feed says wherever the feed
moves to; relative links are resolved afterwards.
"""

import datetime
import io
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urljoin

import feedparser

from newsletter.content.encodings import charset_hint
from newsletter.content.entries import Draft, finish, first_url, language_tag, sensible_date
from newsletter.content.parsed import Kind, ParsedFeed
from newsletter.content.sanitising import html_of
from newsletter.content.text import is_marked_up, plain
from newsletter.content.urls import web_url
from newsletter.foundation.errors import ParseError

MAX_IMAGE_WIDTH: Final = 2400
"""Pixels; a wider picture is taken only where there is no other."""
_IMAGE_NAME: Final = re.compile(r"\.(?:jpe?g|png|gif|webp|avif)(?:$|\?)", re.IGNORECASE)

Found = dict[str, Any]


def parse_xml(body: bytes, url: str, content_type: str | None) -> ParsedFeed:
    """Read a feed found at `url`; raise ParseError when feedparser recognises none."""
    headers = {"content-type": f"application/xml{charset_hint(body, content_type)}"}
    # A stream, never bytes or text: those feedparser would first try to open as a file or an address.
    read = feedparser.parse(
        io.BytesIO(body), response_headers=headers, sanitize_html=False, resolve_relative_uris=False
    )
    version, feed = str(read.get("version") or ""), read["feed"]
    if not version and not read["entries"]:
        raise ParseError("This is no feed: neither RSS, Atom nor JSON Feed.")
    kind: Kind = "atom" if version.startswith("atom") else "rss"
    site_url = web_url(_string(feed, "link"), url)
    base = url or site_url
    hubs = [_string(link, "href") for link in _list(feed, "links") if _string(link, "rel") == "hub"]
    return ParsedFeed(
        kind=kind,
        title=plain(_markup(feed, "title")),
        site_url=site_url,
        language=language_tag(dict.get(feed, "language")),
        hub_url=first_url(hubs, base),
        entries=finish([_draft(entry, base) for entry in read["entries"]]),
    )


def _draft(entry: Found, base: str) -> Draft:
    summary, summary_base = _markup(entry, "summary"), _base(dict.get(entry, "summary_detail"), base)
    body, body_base = summary, summary_base
    for content in _list(entry, "content"):
        # The longest is the article: a caption of media:description ends up among the contents too.
        value = _marked_up(_string(content, "value"), _string(content, "type"))
        if len(value) >= len(body):
            body, body_base = value, _base(content, base)
    return Draft(
        id=_string(entry, "id"),
        url=_url(entry, base),
        title=_markup(entry, "title"),
        summary=summary,
        body=body,
        base=body_base,
        author=_string(entry, "author"),  # author_detail takes no domain whose last label is longer than four
        images=[web_url(image, base) for image in _images(entry)],
        published_at=_date(entry),
        terms=[(_string(tag, "label") or _string(tag, "term"), _string(tag, "scheme")) for tag in _list(entry, "tags")],
    )


def _url(entry: Found, base: str) -> str:
    alternates = [_string(link, "href") for link in _list(entry, "links") if _string(link, "rel") == "alternate"]
    identity = _string(entry, "id")
    address = identity if identity.startswith(("http://", "https://")) and dict.get(entry, "guidislink") else ""
    return first_url((_string(entry, "link"), *alternates, address), base)


def _images(entry: Found) -> Iterator[str]:
    """Give the addresses of pictures, best first (standards I10)."""
    media = [found for found in _list(entry, "media_content") if _is_image(found)]
    yield from (_string(found, "url") for found in sorted(media, key=_fitness, reverse=True))
    yield from (_string(found, "url") for found in _list(entry, "media_thumbnail"))
    yield from (
        _string(link, "href") for link in _list(entry, "links")
        if _string(link, "rel") == "enclosure" and (
            _string(link, "type").startswith("image/") or _IMAGE_NAME.search(_string(link, "href"))
        )
    )  # fmt: skip
    yield _string(dict.get(entry, "image") or {}, "href")


def _is_image(media: Found) -> bool:
    url, medium, mime = _string(media, "url"), _string(media, "medium"), _string(media, "type")
    if "gravatar.com/avatar/" in url:
        return False  # WordPress.com lists the author's face as media
    return medium == "image" or mime.startswith("image/") or (not medium and not mime and bool(_IMAGE_NAME.search(url)))


def _fitness(media: Found) -> int:
    """Order pictures: the wider the better up to the limit, wider ones last."""
    width = _string(media, "width")
    pixels = int(width) if re.fullmatch(r"[0-9]{1,5}", width) else 0
    return pixels if pixels <= MAX_IMAGE_WIDTH else -pixels


def _date(entry: Found) -> datetime.datetime | None:
    """Return the first date that makes sense, in UTC; feedparser takes one without a zone as UTC."""
    for name in ("published_parsed", "updated_parsed", "created_parsed"):
        parts = dict.get(entry, name)
        if not parts:
            continue
        try:
            year, month, day, hour, minute, second = map(int, parts[:6])
            when = datetime.datetime(year, month, day, hour, minute, second, tzinfo=datetime.UTC)
        except (ValueError, TypeError, OverflowError):
            continue
        if sensible := sensible_date(when):
            return sensible
    return None


def _markup(context: Found, name: str) -> str:
    detail = dict.get(context, f"{name}_detail") or {}
    return _marked_up(_string(context, name), _string(detail, "type") or "text/html")


def _marked_up(value: str, mime: str) -> str:
    """Return `value` as HTML: plain text is escaped unless it is plain by name only."""
    return html_of(value) if mime == "text/plain" and not is_marked_up(value) else value


def _base(detail: object, base: str) -> str:
    own = _string(detail, "base") if isinstance(detail, dict) else ""
    try:
        return urljoin(base, own)
    except ValueError:
        return base


def _string(context: object, name: str) -> str:
    value = dict.get(context, name) if isinstance(context, dict) else None
    return value if isinstance(value, str) else ""


def _list(context: Found, name: str) -> list[Found]:
    value = dict.get(context, name)
    return [found for found in value if isinstance(found, dict)] if isinstance(value, list) else []
