"""Links and identities of addresses. Pure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.content.urls import canonical_url, web_url


@pytest.mark.parametrize(
    ("value", "base", "url"),
    [
        ("https://news.example/a?b=1&c=2#d", "", "https://news.example/a?b=1&c=2#d"),
        ("/a", "https://news.example/feeds/x.xml", "https://news.example/a"),
        ("../a b", "https://news.example/feeds/x.xml", "https://news.example/a%20b"),
        ("//cdn.example/a.jpg", "https://news.example/", "https://cdn.example/a.jpg"),
        (" \n https://NEWS.example/ä?q=ü ", "", "https://news.example/%C3%A4?q=%C3%BC"),
        ("https://exämple.de:8080/", "", "https://xn--exmple-cua.de:8080/"),
        ("https://news.example/a%20b", "", "https://news.example/a%20b"),
        ("http://[2001:db8::1]/", "", "http://[2001:db8::1]/"),
    ],
)
def test_links_become_absolute_and_ascii(value: str, base: str, url: str) -> None:
    assert web_url(value, base) == url


@pytest.mark.parametrize(
    "value",
    [
        None, "", "javascript:alert(1)", "JaVaScRiPt:alert(1)", " java\nscript:alert(1)", "\x01javascript:alert(1)",
        "data:text/html,x", "vbscript:x", "file:///etc/passwd", "mailto:a@b.example", "tag:x,2020:1", "urn:isbn:1",
        "http://", "http:///a", "http://user:pw@news.example/", "https://news.example@evil.example/", "http://[", "http://a:b/",
        "http://a b/", "http://a<b/", 'http://a"b/', "http://\u202eevil/", "http://x/" + "a" * 3000, "relative/path",
    ],
)  # fmt: skip
def test_what_is_no_web_address_gives_nothing(value: str | None) -> None:
    assert web_url(value) == ""


@pytest.mark.parametrize(
    "other",
    [
        "http://news.example/story",
        "https://NEWS.example/story/",
        "https://news.example:443/story#comments",
        "https://news.example./story?utm_source=rss&utm_medium=feed",
        "https://news.example/story?fbclid=x&gclid=y&UTM_Campaign=z",
    ],
)
def test_one_story_has_one_key(other: str) -> None:
    assert canonical_url(other) == canonical_url("https://news.example/story")


@pytest.mark.parametrize(
    "other",
    [
        "https://news.example/Story",
        "https://news.example/story?page=2",
        "https://news.example:8443/story",
        "https://m.news.example/story",
        "https://news.example/story/2",
    ],
)
def test_other_stories_have_other_keys(other: str) -> None:
    assert canonical_url(other) != canonical_url("https://news.example/story")


def test_parameters_that_say_what_is_shown_stay() -> None:
    assert canonical_url("http://n.example/?p=1&utm_source=x&q=a%26b") == "https://n.example?p=1&q=a%26b"


@given(st.text(), st.text())
def test_any_text_is_a_safe_link_or_none(value: str, base: str) -> None:
    url = web_url(value, base)
    assert url == "" or (url.startswith(("http://", "https://")) and url.isascii() and " " not in url)
    assert not set(url) & set("<>\"'\\^`{|}") - {"'"}
    assert web_url(url) == url
    assert canonical_url(canonical_url(url)) == canonical_url(url)
