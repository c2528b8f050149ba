"""Links as mails may carry them."""

import re
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.foundation.errors import RenderError
from newsletter.mail.urls import own_url, page_url

UTM = {"utm_source": "news letter", "utm_medium": "email"}


@pytest.mark.parametrize(
    ("url", "linked"),
    [
        ("https://a.example/x", "https://a.example/x"),
        ("http://a.example/x", "https://a.example/x"),
        ("http://a.example:80/x", "https://a.example/x"),
        ("http://127.0.0.1:8001/x", "http://127.0.0.1:8001/x"),
        ("http://localhost/x", "http://localhost/x"),
        ("http://127.0.0.1.evil.example/x", "https://127.0.0.1.evil.example/x"),
        ("https://übersee.example/ä b", "https://xn--bersee-2ya.example/%C3%A4%20b"),
        ("https://user:secret@a.example/", "https://a.example/"),
        ("https://a.example/(wiki)'s.", "https://a.example/%28wiki%29%27s%2E"),
        ("https://a.example/?a=1&copy;b", "https://a.example/?a=1&copy%3Bb"),
        ("https://a.example/%C3%A4?q=%26#top", "https://a.example/%C3%A4?q=%26#top"),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("//a.example/x", None),
        ("https://", None),
        ("https://a.example:port/", None),
        ("https://[::zz]/", None),
        ("https://a b.example/", None),
        ("", None),
    ],
)
def test_article_links_are_plain_https(url: str, linked: str | None) -> None:
    assert page_url(url) == linked


def test_parameters_are_added_where_the_link_has_none_of_its_own() -> None:
    assert page_url("https://a.example/x?id=1&utm_source=own#top", UTM) == (
        "https://a.example/x?id=1&utm_source=own&utm_medium=email#top"
    )
    assert page_url("https://a.example/x", UTM) == "https://a.example/x?utm_source=news+letter&utm_medium=email"


@given(st.text(), st.sampled_from(("https://a.example/", "http://", "https://a.example/?q=", "")))
def test_any_link_is_one_word_of_ascii_that_text_and_html_read_alike(text: str, before: str) -> None:
    url = page_url(before + text, UTM)
    if url is not None:
        assert re.fullmatch(r"https?://[!#-&*-;=?-Z\\^-z|~_]+", url)
        assert re.findall(r"https?://[^\s<>\"')\]]+", f"x\n{url}\n")[0].rstrip(".,;:") == url
        assert urlsplit(url).scheme == "https" or urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")
        assert page_url(url, UTM) == url


@pytest.mark.parametrize("url", ["https://news.example.org/u/abc", "http://127.0.0.1:8000/u/a", "http://localhost/"])
def test_our_own_links_are_taken_as_they_are(url: str) -> None:
    assert own_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://news.example.org/",
        "ftp://a.example/",
        "/u/abc",
        "",
        "https://a.example/ b",
        "https://[",
        "https://é.example",
        'https://a.example/"><b>',
        "https://a.example/\r\nBcc: x",
    ],
)
def test_our_own_links_must_be_plain_https(url: str) -> None:
    with pytest.raises(RenderError):
        own_url(url)
