"""The Gazette's feeds: RSS 2.0, Atom 1.0 (RFC 4287) and JSON Feed 1.1, all naming an article by the same identity.

Each writer takes values and returns bytes; it knows no web framework and no clock.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from email.utils import format_datetime
from xml.etree import ElementTree as ET

from newsletter.sample import card
from newsletter.sample.articles import Article

PAPER = "The Sample Gazette"
MOTTO = "Business, politics, investing and the world, in few words"
LANGUAGE = "en-GB"

ATOM = "http://www.w3.org/2005/Atom"
CONTENT = "http://purl.org/rss/1.0/modules/content/"
DC = "http://purl.org/dc/elements/1.1/"
MEDIA = "http://search.yahoo.com/mrss/"

for prefix, uri in (("atom", ATOM), ("content", CONTENT), ("dc", DC), ("media", MEDIA)):
    ET.register_namespace(prefix, uri)


def article_path(slug: str) -> str:
    return f"/articles/{slug}"


def image_path(slug: str) -> str:
    return f"/images/{slug}.png"


def rss(category: str, articles: Sequence[Article], *, base_url: str, changed_at: datetime) -> bytes:
    """Write one category's RSS 2.0 with content:encoded, dc:creator and media:content."""
    root = ET.Element("rss", version="2.0")
    channel = ET.SubElement(root, "channel")
    _child(channel, "title", f"{PAPER}: {category}")
    _child(channel, "link", f"{base_url}/#{category.lower()}")
    _child(channel, "description", MOTTO)
    _child(channel, "language", LANGUAGE)
    _child(channel, "lastBuildDate", _rfc822(changed_at))
    own = f"{base_url}/feeds/{category.lower()}.xml"
    _child(channel, f"{{{ATOM}}}link", None, href=own, rel="self", type="application/rss+xml")
    for article in articles:
        item = ET.SubElement(channel, "item")
        _child(item, "title", article.title)
        _child(item, "link", base_url + article_path(article.slug))
        _child(item, "guid", article.guid, isPermaLink="false")
        _child(item, "pubDate", _rfc822(article.published_at))
        _child(item, f"{{{DC}}}creator", article.byline)
        for name in article.categories:
            _child(item, "category", name)
        _child(item, "description", article.summary)
        _child(item, f"{{{CONTENT}}}encoded", article.html)
        _child(
            item,
            f"{{{MEDIA}}}content",
            None,
            url=base_url + image_path(article.slug),
            type="image/png",
            medium="image",
            width=str(card.WIDTH),
            height=str(card.HEIGHT),
        )
    return _document(root)


def atom(articles: Sequence[Article], *, base_url: str, changed_at: datetime) -> bytes:
    """Write all categories as one Atom 1.0 feed."""
    root = ET.Element(f"{{{ATOM}}}feed", {"{http://www.w3.org/XML/1998/namespace}lang": LANGUAGE})
    _atom(root, "title", PAPER)
    _atom(root, "subtitle", MOTTO)
    _atom(root, "id", "tag:sample-gazette.example,2026:all")
    _atom(root, "updated", changed_at.isoformat())
    _atom(root, "link", None, rel="alternate", type="text/html", href=f"{base_url}/")
    _atom(root, "link", None, rel="self", type="application/atom+xml", href=f"{base_url}/feeds/all.atom")
    for article in articles:
        entry = ET.SubElement(root, f"{{{ATOM}}}entry")
        _atom(entry, "title", article.title, type="text")
        _atom(entry, "link", None, rel="alternate", type="text/html", href=base_url + article_path(article.slug))
        _atom(entry, "id", article.guid)
        _atom(entry, "published", article.published_at.isoformat())
        _atom(entry, "updated", article.published_at.isoformat())
        _atom(ET.SubElement(entry, f"{{{ATOM}}}author"), "name", article.byline)
        for name in article.categories:
            _atom(entry, "category", None, term=name)
        _atom(entry, "summary", article.summary, type="text")
        _atom(entry, "content", article.html, type="html")
        _child(
            entry,
            f"{{{MEDIA}}}content",
            None,
            url=base_url + image_path(article.slug),
            type="image/png",
            medium="image",
        )
    return _document(root)


def json_feed(articles: Sequence[Article], *, base_url: str) -> bytes:
    """Write all categories as one JSON Feed 1.1 (jsonfeed.org)."""
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": PAPER,
        "description": MOTTO,
        "home_page_url": f"{base_url}/",
        "feed_url": f"{base_url}/feeds/all.json",
        "language": LANGUAGE,
        "items": [
            {
                "id": article.guid,
                "url": base_url + article_path(article.slug),
                "title": article.title,
                "summary": article.summary,
                "content_html": article.html,
                "image": base_url + image_path(article.slug),
                "date_published": article.published_at.isoformat(),
                "authors": [{"name": article.byline}],
                "tags": list(article.categories),
            }
            for article in articles
        ],
    }
    return json.dumps(feed, ensure_ascii=False, indent=1).encode()


def _child(parent: ET.Element, tag: str, text: str | None, **attributes: str) -> None:
    ET.SubElement(parent, tag, attributes).text = text


def _atom(parent: ET.Element, tag: str, text: str | None, **attributes: str) -> None:
    _child(parent, f"{{{ATOM}}}{tag}", text, **attributes)


def _rfc822(instant: datetime) -> str:
    return format_datetime(instant, usegmt=True)


def _document(root: ET.Element) -> bytes:
    ET.indent(root, " ")
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document
