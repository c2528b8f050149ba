"""What `sources try` shows. A fetcher that remembers stands in for the network; the parser is the real one."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from newsletter.content.parser import MAX_DOCUMENT, Parser
from newsletter.content.trying import read_feed, try_source
from newsletter.foundation.errors import FetchError, ParseError
from newsletter.foundation.fetch import Fetched

FEED = b"""<rss version="2.0"><channel><title>News</title><item><title>A story</title><link>/a</link><guid>1</guid>
<category>World</category><pubDate>Sun, 22 Nov 2026 08:30:00 GMT</pubDate><description>It rained.</description></item>
</channel></rss>"""
PAGE = b'<html><link rel="alternate" type="application/rss+xml" href="/feed">'


class Web:
    """Fetch from a dictionary."""

    def __init__(self, pages: dict[str, bytes]) -> None:
        self.pages = pages
        self.asked: list[str] = []

    def fetch(self, url: str, *, authorization: tuple[str, str] | None = None) -> Fetched:
        self.asked.append(url)
        if url not in self.pages:
            raise FetchError("The server answered 404 (not found).", status=404)
        return Fetched(url, 200, {"content-type": "text/plain"}, self.pages[url], None)


@pytest.fixture(scope="module")
def parser() -> Iterator[Parser]:
    with Parser(size=1) as made:
        yield made


def error(source: str, parser: Parser, pages: dict[str, bytes] | None = None) -> str:
    record = try_source(source, Web(pages or {}), parser)
    assert (record["source"], record["ok"], record["title"], record["articles"]) == (source, False, "", [])
    return record["error"] or ""


def test_a_feed_is_shown_as_it_would_be_ingested(parser: Parser) -> None:
    url = "https://news.example/feed"
    assert try_source(url, Web({url: FEED}), parser) == {
        "source": url,
        "ok": True,
        "error": None,
        "title": "News",
        "articles": [
            {
                "id": "1",
                "url": "https://news.example/a",
                "title": "A story",
                "published_at": "2026-11-22T08:30:00+00:00",
                "categories": ["World"],
                "summary": "It rained.",
                "html": "It rained.",
            }
        ],
    }


def test_a_site_leads_to_the_feed_it_names(parser: Parser) -> None:
    web = Web({"https://news.example/": PAGE, "https://news.example/feed": FEED})
    assert try_source("https://news.example/", web, parser)["title"] == "News"
    assert web.asked == ["https://news.example/", "https://news.example/feed"]
    assert read_feed("https://news.example/", web, parser)[0] == "https://news.example/feed"


def test_a_site_without_a_readable_feed_is_said_to_be_one(parser: Parser) -> None:
    url = "https://news.example/"
    assert "names no feed" in error(url, parser, {url: b"<html>"})
    assert "https://news.example/feed, cannot be read: The server answered 404" in error(url, parser, {url: PAGE})
    assert "web page" in error(url, parser, {url: PAGE, "https://news.example/feed": PAGE})
    with pytest.raises(ParseError):
        read_feed(url, Web({url: b"<html>"}), parser)


def test_a_file_is_read_without_any_network(parser: Parser, tmp_path: Path) -> None:
    path = tmp_path / "feed.xml"
    path.write_bytes(FEED)
    web = Web({})
    record = try_source(str(path), web, parser)
    assert (record["ok"], record["title"], record["articles"][0]["url"]) == (True, "News", "")
    assert web.asked == []


def test_what_is_no_readable_file_is_said_plainly(parser: Parser, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "page.html").write_bytes(PAGE.replace(b"/feed", b"https://news.example/feed"))
    (tmp_path / "huge").write_bytes(b"x" * (MAX_DOCUMENT + 1))
    os.mkfifo(tmp_path / "pipe")
    assert "no such file" in error(str(tmp_path / "missing"), parser)
    assert "folder" in error(str(tmp_path), parser)
    assert "regular" in error(str(tmp_path / "pipe"), parser)
    assert "regular" in error("/dev/zero", parser)
    assert "empty" in error(str(tmp_path / "empty"), parser)
    assert "larger than 5 MB" in error(str(tmp_path / "huge"), parser)
    assert "It names https://news.example/feed." in error(str(tmp_path / "page.html"), parser)
    assert "begins with https://" in error("news.example", parser)
    assert error("a\0b", parser)


def test_several_megabytes_are_read(parser: Parser, tmp_path: Path) -> None:
    item = b"<item><title>Story %d</title><guid>%d</guid><description>" + b"words " * 400 + b"</description></item>"
    path = tmp_path / "large.xml"
    path.write_bytes(
        b"<rss version='2.0'><channel>" + b"".join(item % (n, n) for n in range(1200)) + b"</channel></rss>"
    )
    assert len(try_source(str(path), Web({}), parser)["articles"]) == 500


def test_other_schemes_are_left_to_the_fetcher_to_refuse(parser: Parser) -> None:
    for address in ("file:///etc/passwd", "ftp://news.example/", "data:text/xml,x", "HTTPS://news.example/"):
        assert "404" in error(address, parser)
