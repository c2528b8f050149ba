"""Every document of the reference data beside the checkout: read or refused, never harmful. Reads ../shared."""

import base64
import csv
import html
import os
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from newsletter.content.parsed import ParsedFeed
from newsletter.content.parser import Parser
from newsletter.content.parsing import parse_document
from newsletter.content.text import plain
from newsletter.foundation.errors import ParseError
from tests.content.test_sanitising import Audit

pytestmark = pytest.mark.corpus

FEEDS = Path(__file__).resolve().parents[3] / "shared" / "data" / "feeds"
URL = "http://127.0.0.1:8097/feed.xml"
NO_FEED = {"rss_empty_document.xml"}
"""A comment and nothing else."""


def rows(name: str) -> list[dict[str, str]]:
    if not (FEEDS / name).exists():
        return []
    with (FEEDS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


REAL, ODD = rows("real-world.tsv"), rows("odd-cases.tsv")


@pytest.fixture(scope="module")
def parser() -> Iterator[Parser]:
    with Parser(size=1) as made:
        yield made


def test_the_corpus_is_there() -> None:
    if os.environ.get("CI") == "true":  # noqa: TID251  (asked before there are settings)
        assert len(REAL) == 60
        assert len(ODD) == 120
    elif not REAL:
        pytest.skip("The reference feeds are not beside this checkout (../shared/data/feeds).")


def check(feed: ParsedFeed) -> None:
    for entry in feed.entries:
        texts = (entry.title, entry.summary, entry.author, feed.title, *(term.name for term in entry.categories))
        for text in texts:
            assert not re.search(r"<[a-zA-Z/!?]", text)
            assert not any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in text)
        assert entry.identity
        assert entry.title
        assert len(entry.summary) <= 300
        for url in filter(None, (entry.url, entry.image_url)):
            assert url.startswith(("http://", "https://"))
        assert entry.published_at is None or entry.published_at.utcoffset() is not None
        Audit().feed(entry.html)
        assert not re.search(r"<script|\son\w+=|javascript:", re.sub(r">[^<]*<", "><", entry.html), re.IGNORECASE)
    identities = [entry.identity for entry in feed.entries]
    assert len(set(identities)) == len(identities)


@pytest.mark.parametrize("row", REAL, ids=lambda row: row["file"])
def test_feeds_of_real_sites_are_read_whole(parser: Parser, row: dict[str, str]) -> None:
    feed = parser.parse((FEEDS / "real-world" / row["file"]).read_bytes(), URL)
    assert feed.kind == row["format"].split("-")[0]
    assert feed.title
    check(feed)
    same = {"pcmag-illegally-nested.xml", "suspilne-uk.xml"}  # each repeats entries, guid and all
    assert len(feed.entries) == int(row["items"]) or row["file"] in same
    assert all(entry.url for entry in feed.entries)
    if int(row["categories"]) > int(row["items"]):
        assert any(entry.categories for entry in feed.entries)
    if int(row["full_content"]):
        assert any(len(entry.html) > 100 for entry in feed.entries)


@pytest.mark.parametrize("row", ODD, ids=lambda row: row["file"])
def test_odd_cases_are_read_or_refused(parser: Parser, row: dict[str, str]) -> None:
    path = FEEDS / "odd-cases" / row["file"]
    try:
        check(parser.parse(path.read_bytes(), URL))
    except ParseError:
        assert path.name in NO_FEED
    else:
        assert path.name not in NO_FEED


TITLES = re.compile(r"entries\[0\]\['title(?:_detail'\]\['value)?'\] == (?:entries\[1\]\['title'\] == )?'([^']*)'")


@pytest.mark.parametrize(
    ("file", "expected"),
    [(row["file"], found[1]) for row in ODD if (found := TITLES.search(row["expect"]))],
)
def test_titles_are_the_text_of_what_feedparser_expects(file: str, expected: str) -> None:
    feed = parse_document((FEEDS / "odd-cases" / file).read_bytes(), URL, None)
    wanted = plain(expected)
    assert [entry.title for entry in feed.entries][:1] == ([wanted] if wanted else [])


@pytest.mark.parametrize(
    ("file", "title"),
    [
        ("illformed/always_strip_doctype.xml", "found"),
        ("illformed/rss_incomplete_cdata.xml", "can feedparser read this xml"),
        ("wellformed/atom/feed_title_base64_2.xml", "History of the ‹blink› tag"),
        ("wellformed/atom10/feed_title_escaped_markup.xml", "Example Atom"),
        ("wellformed/rss/channel_title_gt.xml", "2 > 1"),
    ],
)
def test_titles_of_odd_feeds(file: str, title: str) -> None:
    if not ODD:
        pytest.skip("The reference feeds are not beside this checkout.")
    assert parse_document((FEEDS / "odd-cases" / file).read_bytes(), URL, None).title == title


@pytest.mark.parametrize("row", [row for row in ODD if "/chardet/" in row["file"]], ids=lambda row: row["file"])
def test_undeclared_encodings_are_recognised(row: dict[str, str]) -> None:
    body = (FEEDS / "odd-cases" / row["file"]).read_bytes()
    codec = row["expect"].split("'")[1]
    feed = parse_document(body, URL, None)
    words = {
        word for word in re.findall(r"[^\W\d_]{4,}", html.unescape(body.decode(codec, "replace"))) if ord(word[0]) > 127
    }
    shown = " ".join([feed.title, *(f"{entry.title} {entry.summary} {entry.html}" for entry in feed.entries)])
    assert any(word in shown for word in words)


def test_links_and_base64_of_odd_cases() -> None:
    if not ODD:
        pytest.skip("The reference feeds are not beside this checkout.")
    folder = FEEDS / "odd-cases"
    broken = parse_document((folder / "illformed/rss_item_link_corrupted_ampersands.xml").read_bytes(), URL, None)
    assert broken.entries[0].url == "http://link/get?a=1&b=2"
    body = (folder / "wellformed/atom/entry_content_mode_base64.xml").read_bytes()
    encoded = re.search(rb"<content[^>]*>\s*([A-Za-z0-9+/=\s]+)</content>", body)
    assert encoded is not None
    entry = parse_document(body, URL, None).entries[0]
    assert entry.summary == plain(base64.b64decode(encoded[1]).decode())
