"""Find the feeds that a web page names: `<link rel=alternate>` and the Link header (RFC 8288)."""

import re
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urljoin

from newsletter.content.encodings import html_text
from newsletter.content.parsed import Candidate
from newsletter.content.text import excerpt, plain
from newsletter.content.urls import web_url

MAX_PAGE: Final = 512 * 1024
"""Bytes of a page that are searched; feeds are named in its head."""
MAX_CANDIDATES: Final = 20

_TYPES: Final = {"application/rss+xml", "application/atom+xml", "application/feed+json", "application/rdf+xml"}
_LINK: Final = re.compile(r'<([^<>]{1,2000})>((?:\s*;\s*[\w*-]+\s*=\s*(?:"[^"]*"|[^\s",;]+))*)')
_PARAMETER: Final = re.compile(r';\s*([\w*-]+)\s*=\s*(?:"([^"]*)"|([^\s",;]+))')


def discover(body: bytes, url: str, content_type: str | None, link_header: str = "") -> list[Candidate]:
    """Return the feeds named by the page found at `url`, in its order; those of comments last."""
    page = _Page()
    page.feed(html_text(body[:MAX_PAGE], content_type))
    base = urljoin(url, page.base) if page.base else url
    links = [(url, found) for found in _from_header(link_header)] + [(base, found) for found in page.links]
    candidates: dict[str, Candidate] = {}
    for start, attributes in links:
        address = web_url(attributes.get("href"), start)
        if address and _names_feed(attributes):
            title = excerpt(plain(attributes.get("title", "")), 200)
            candidates.setdefault(address, Candidate(address, title))
    ordered = sorted(candidates.values(), key=lambda found: "comment" in f"{found.url} {found.title}".lower())
    return ordered[:MAX_CANDIDATES]


class _Page(HTMLParser):
    """Collect a page's links and its base."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[dict[str, str]] = []
        self.base = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note `link` and the first `base`."""
        attributes = {name: value or "" for name, value in attrs}
        if tag == "link" and len(self.links) < 1000:
            self.links.append(attributes)
        elif tag == "base" and not self.base:
            self.base = attributes.get("href", "").strip()


def _names_feed(attributes: dict[str, str]) -> bool:
    relations = attributes.get("rel", "").lower().split()
    mime = attributes.get("type", "").partition(";")[0].strip().lower()
    if "feed" in relations and "stylesheet" not in relations:
        return True
    if "alternate" not in relations or "stylesheet" in relations:
        return False
    if mime == "application/json":
        # JSON Feed 1.0 was announced so; WordPress announces its REST addresses so.
        return "feed" in attributes.get("href", "") and "wp-json" not in attributes.get("href", "")
    return mime in _TYPES


def _from_header(header: str) -> list[dict[str, str]]:
    return [
        {"href": link[1], **{name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(link[2])}}
        for link in _LINK.finditer(header[:10_000])
    ]
