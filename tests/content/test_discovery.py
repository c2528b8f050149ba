"""Feeds that web pages name. Pure."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from newsletter.content.discovery import discover
from newsletter.content.parsed import Candidate

URL = "https://news.example/politics/"


def link(href: str, kind: str = "application/rss+xml", rel: str = "alternate", more: str = "") -> str:
    return f'<link rel="{rel}" type="{kind}" href="{href}" {more}>'


def found(html: str, header: str = "") -> list[str]:
    return [candidate.url for candidate in discover(html.encode(), URL, "text/html; charset=utf-8", header)]


def test_feeds_are_found_in_the_pages_order_with_their_titles() -> None:
    html = f"""<html><head><title>x</title>{link("/rss.xml", more='title="Neues &amp; <b>Altes</b>"')}
    {link("atom", "Application/Atom+XML; charset=utf-8", "ALTERNATE home")}{link("/feed.json", "application/feed+json")}
    {link("/rss.xml")}</head>"""
    assert discover(html.encode(), URL, None) == [
        Candidate("https://news.example/rss.xml", "Neues & Altes"),
        Candidate("https://news.example/politics/atom", ""),
        Candidate("https://news.example/feed.json", ""),
    ]


def test_what_is_no_feed_is_not_named() -> None:
    assert not found(
        link("/style.css", "text/css", "stylesheet")
        + link("/de/", "text/html")
        + link("/wp-json/wp/v2/posts/1", "application/json")
        + link("/oembed", "application/json+oembed")
        + link("javascript:alert(1)")
        + link("file:///etc/passwd")
        + link("")
        + link("/x", "application/rss+xml", "stylesheet alternate")
    )


def test_comments_come_last() -> None:
    assert found(link("/comments/feed/") + link("/feed/")) == [
        "https://news.example/feed/",
        "https://news.example/comments/feed/",
    ]


def test_the_pages_base_counts() -> None:
    assert found(f'<base href="/en/"><base href="https://evil.example/">{link("feed")}') == [
        "https://news.example/en/feed"
    ]


def test_the_link_header_counts() -> None:
    header = (
        '<https://x.example/>; rel="canonical", </feed?a=1,2>; rel=alternate; type="application/rss+xml"; title="A, B"'
    )
    assert discover(b"", URL, None, header) == [Candidate("https://news.example/feed?a=1,2", "A, B")]


def test_a_feed_without_a_type_is_found_by_its_relation() -> None:
    assert found('<link rel="feed" href="/feed">') == ["https://news.example/feed"]


@given(st.binary(max_size=200), st.text(max_size=100))
def test_any_page_gives_a_list(body: bytes, header: str) -> None:
    discover(b"<link rel=alternate " + body, URL, header, header)
    with contextlib.suppress(UnicodeEncodeError):
        discover(f"<base href='{header}'>{link(header)}".encode(), header, None)
