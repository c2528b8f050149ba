"""Documents to values, in this process. Pure; what a process of its own adds is in test_parser.py."""

import contextlib
import datetime
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.content.entries import MAX_ENTRIES
from newsletter.content.parsed import ParsedEntry, ParsedFeed, Term, WebPageError, from_json, to_json
from newsletter.content.parsing import parse_document
from newsletter.foundation.errors import ParseError

URL = "https://news.example/feeds/all.xml"
UTC = datetime.UTC


def rss(
    items: str, channel: str = "<title>News</title><link>https://news.example/</link>", more: str = ""
) -> ParsedFeed:
    names = (
        'xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:media="http://search.yahoo.com/mrss/" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:atom="http://www.w3.org/2005/Atom"'
    )
    document = f'<?xml version="1.0"?><rss version="2.0" {names} {more}><channel>{channel}{items}</channel></rss>'
    return parse_document(document.encode(), URL, None)


def only(feed: ParsedFeed) -> ParsedEntry:
    (entry,) = feed.entries
    return entry


def item(inside: str) -> ParsedEntry:
    return only(rss(f"<item><title>Story</title>{inside}</item>"))


def json_feed(*items: object, **more: object) -> ParsedFeed:
    document = {"version": "https://jsonfeed.org/version/1.1", "title": "News", "items": items} | more
    return parse_document(json.dumps(document).encode(), URL, "application/feed+json")


def test_an_rss_entry_is_read_whole() -> None:
    feed = rss(
        """<item><title>Fish &amp;amp; Chips</title><link>/story?utm_source=rss</link>
        <guid isPermaLink="false">17</guid><dc:creator>Jo Doe</dc:creator>
        <pubDate>Sun, 22 Nov 2026 08:30:00 +0100</pubDate>
        <category domain="https://news.example/terms">Business</category><category>Food</category><category>food</category>
        <description>&lt;p&gt;Short.&lt;/p&gt;</description>
        <content:encoded><![CDATA[<p>Long <a href="/more">text</a>.</p><script>x</script>]]></content:encoded>
        <media:content url="https://news.example/s.jpg" medium="image" width="200"/>
        <media:content url="https://news.example/l.jpg" medium="image" width="1200"/></item>""",
        "<title>News</title><link>https://news.example/</link><language>en_GB</language>"
        '<atom:link rel="hub" href="https://hub.example/"/>',
    )
    assert (feed.kind, feed.title, feed.site_url, feed.language) == ("rss", "News", "https://news.example/", "en-GB")
    assert feed.hub_url == "https://hub.example/"
    assert only(feed) == ParsedEntry(
        identity="17",
        url="https://news.example/story?utm_source=rss",
        title="Fish & Chips",
        summary="Short.",
        html='<p>Long <a href="https://news.example/more">text</a>.</p>',
        author="Jo Doe",
        image_url="https://news.example/l.jpg",
        published_at=datetime.datetime(2026, 11, 22, 7, 30, tzinfo=UTC),
        categories=(Term("Business", "https://news.example/terms"), Term("Food")),
    )


def test_an_atom_entry_is_read_whole() -> None:
    document = """<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="de" xml:base="https://news.example/de/">
      <title type="html">&lt;b&gt;Neues&lt;/b&gt;</title><link href="./"/>
      <entry><id>tag:news.example,2026:1</id><title>A &lt; B &amp; C</title><link rel="alternate" href="artikel"/>
      <author><name>Jo Doe</name><email>jo@news.example</email></author>
      <published>2026-11-22T07:30:00Z</published><updated>2026-11-23T00:00:00Z</updated>
      <category term="wirtschaft" label="Wirtschaft"/>
      <content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>Text <img src="b.png" alt=""/></p></div>
      </content>
      </entry></feed>"""
    feed = parse_document(document.encode(), URL, None)
    assert (feed.kind, feed.title, feed.site_url, feed.language) == ("atom", "Neues", "https://news.example/de/", "de")
    entry = only(feed)
    assert entry.identity == "tag:news.example,2026:1"
    assert entry.url == "https://news.example/de/artikel"
    assert entry.title == "A < B & C"
    assert entry.html == '<p>Text <img src="https://news.example/de/b.png" alt=""></p>'
    assert entry.image_url == "https://news.example/de/b.png"
    assert entry.published_at == datetime.datetime(2026, 11, 22, 7, 30, tzinfo=UTC)
    assert entry.author == "Jo Doe"
    assert entry.categories == (Term("Wirtschaft"),)


def test_a_json_entry_is_read_whole() -> None:
    feed = json_feed(
        {
            "id": 17,
            "url": "/story",
            "title": "Fish & <b>Chips</b>",
            "content_html": "<p>Long <a href='more'>text</a></p>",
            "summary": "Short.",
            "image": "i.jpg",
            "date_published": "2026-11-22T08:30:00+01:00",
            "authors": [{"name": "Jo Doe"}],
            "tags": ["Business", 7, None],
        },
        home_page_url="https://news.example/",
        language="en",
        hubs=[{"type": "WebSub", "url": "https://hub.example/"}],
    )
    assert (feed.kind, feed.site_url, feed.language) == ("json", "https://news.example/", "en")
    assert feed.hub_url == "https://hub.example/"
    assert only(feed) == ParsedEntry(
        identity="17",
        url="https://news.example/story",
        title="Fish & Chips",
        summary="Short.",
        html='<p>Long <a href="https://news.example/more">text</a></p>',
        author="Jo Doe",
        image_url="https://news.example/feeds/i.jpg",
        published_at=datetime.datetime(2026, 11, 22, 7, 30, tzinfo=UTC),
        categories=(Term("Business"), Term("7")),
    )


def test_version_1_of_json_feed_has_one_author_and_plain_text_is_kept() -> None:
    entry = only(
        json_feed(
            {"id": "1", "author": {"name": "Jo"}, "content_text": "a < b\nc", "external_url": "https://x.example"}
        )
    )
    assert (entry.author, entry.html, entry.title, entry.url) == (
        "Jo",
        "<p>a &lt; b<br>c</p>",
        "a < b c",
        "https://x.example",
    )


def test_json_of_wrong_types_is_endured() -> None:
    wrongs: list[object] = [None, 1, "x", [], {}, [[]], True, "\ud800\x00"]
    for wrong in wrongs:
        keys = ("id", "url", "title", "content_html", "summary", "image", "date_published", "authors", "tags", "author")
        json_feed(dict.fromkeys(keys, wrong), wrong, title=wrong, language=wrong, hubs=wrong, home_page_url=wrong)
        json_feed(items=wrong)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf \n", "empty"),
        (b"\0\0\0\0", "empty"),
        (b"<!DOCTYPE html><html><body>x", "web page"),
        (b"\n<!-- x --><HTML lang=en><head>", "web page"),
        (b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "x" "y"><html xmlns="z">', "web page"),
        ("<!doctype html>".encode("utf-16"), "web page"),
        (b'<?xml version="1.0"?><urlset xmlns="x"></urlset>', "sitemap"),
        (b"<opml version='2.0'></opml>", "OPML"),
        (b"<svg xmlns='x'/>", "picture"),
        (b"%PDF-1.7 \x00\xff", "no feed"),
        (b"plain text", "no feed"),
        (b"<note>x</note>", "no feed"),
        (b"{}", "not a JSON Feed"),
        (b"[1]", "not a JSON Feed"),
        (b'{"version": "https://jsonfeed.org/version/1", "items": ', "cannot be read"),
        (b"[" * 100_000, "nested too deeply"),
        (b'<!DOCTYPE r [<!ENTITY a "b">]><rss version="2.0"><channel><title>&a;</title></channel></rss>', "entities"),
        ('<!DOCTYPE r [<!ENTITY a "b">]><rss/>'.encode("utf-16"), "entities"),
        (b"<rss version='2.0'><channel>" + b"<item/>" * 10_001, "more than 10000"),
        (b'{"version": "https://jsonfeed.org/version/1", "items": [' + b"1," * 10_000 + b"1]}", "more than 10000"),
    ],
)
def test_what_is_no_feed_is_refused_in_plain_words(body: bytes, reason: str) -> None:
    with pytest.raises(ParseError, match=reason) as caught:
        parse_document(body, URL, None)
    assert isinstance(caught.value, WebPageError) == (reason == "web page")


def test_an_external_entity_is_never_read() -> None:
    document = '<!DOCTYPE r SYSTEM "file:///etc/passwd"><rss version="2.0"><channel><title>x</title></channel></rss>'
    assert parse_document(document.encode(), URL, None).title == "x"


def test_a_document_that_is_a_path_opens_no_file() -> None:
    for name in (b"/etc/passwd", b"file:///etc/passwd", b"http://127.0.0.1/"):
        with pytest.raises(ParseError):
            parse_document(name, URL, None)
        with pytest.raises(ParseError):
            parse_document(name + b"<", URL, None)


# Identity (standards I6)


def test_identity_is_the_guid_as_it_stands_wherever_the_feed_lies() -> None:
    document = b"<rss version='2.0'><channel><item><guid>story-1</guid><title>x</title></item></channel></rss>"
    places = (URL, "http://other.example/feed", "")
    assert {only(parse_document(document, place, None)).identity for place in places} == {"story-1"}


def test_without_guid_the_canonical_address_is_the_identity() -> None:
    first = item("<link>http://news.example/a/?utm_source=x#y</link>")
    second = item("<link>https://NEWS.example/a</link><pubDate>Sun, 22 Nov 2026 08:30:00 GMT</pubDate>")
    assert first.identity == second.identity == "https://news.example/a"


def test_without_any_address_title_and_date_are_the_identity() -> None:
    assert item("").identity == item("<description>x</description>").identity
    assert item("").identity != item("<pubDate>Sun, 22 Nov 2026 08:30:00 GMT</pubDate>").identity
    assert item("").identity.startswith("hash:")


def test_a_guid_that_all_entries_share_is_no_identity() -> None:
    entries = rss(
        "".join(f"<item><guid>same</guid><title>t</title><link>https://n.example/{n}</link></item>" for n in "aab")
    ).entries
    assert [entry.identity for entry in entries] == ["same https://n.example/a", "same https://n.example/b"]


def test_a_permalink_guid_is_the_address_where_there_is_no_link() -> None:
    assert item("<guid>https://news.example/p</guid>").url == "https://news.example/p"
    assert item('<guid isPermaLink="false">https://news.example/p</guid>').url == ""


def test_nul_and_surrogates_reach_no_field() -> None:
    entry = only(json_feed({"id": "a\x00\ud800b", "title": "t\x00\ud83d", "url": "https://n.example/\x00\ud800"}))
    for text in (entry.identity, entry.title, entry.url, entry.html):
        assert "\x00" not in text
        text.encode()


# Dates (standards I7)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Sun, 22 Nov 2026 08:30:00 GMT", datetime.datetime(2026, 11, 22, 8, 30, tzinfo=UTC)),
        ("2026-11-22T08:30:00", datetime.datetime(2026, 11, 22, 8, 30, tzinfo=UTC)),
        ("Wed, 01 Jan 2031 00:00:00 GMT", datetime.datetime(2031, 1, 1, tzinfo=UTC)),
        ("yesterday", None),
        ("", None),
        ("9" * 400, None),
        ("Sun, 99 Foo 2026 99:99:99 QQQ", None),
    ],
)
def test_dates_are_aware_or_absent(written: str, read: datetime.datetime | None) -> None:
    assert item(f"<pubDate>{written}</pubDate>").published_at == read


def test_a_date_of_modification_serves_where_there_is_no_other() -> None:
    document = """<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>1</id><title>x</title>
    <updated>2026-11-23T00:00:00Z</updated></entry></feed>"""
    assert only(parse_document(document.encode(), URL, None)).published_at == datetime.datetime(
        2026, 11, 23, tzinfo=UTC
    )


def test_the_newest_entries_are_kept_in_the_documents_order() -> None:
    def numbered(number: int) -> str:
        when = datetime.datetime(2026, 1, 1, tzinfo=UTC) + datetime.timedelta(minutes=number)
        return f"<item><guid>{number}</guid><title>t</title><pubDate>{when:%a, %d %b %Y %H:%M:%S} GMT</pubDate></item>"

    total = MAX_ENTRIES + 20
    kept = rss("".join(map(numbered, range(total)))).entries
    assert [entry.identity for entry in kept] == [str(number) for number in range(20, total)]
    undated = rss("".join(f"<item><guid>{n}</guid><title>t</title></item>" for n in range(total))).entries
    assert [entry.identity for entry in undated] == [str(number) for number in range(MAX_ENTRIES)]


# Content (standards I10)


def test_an_entry_without_a_title_is_called_by_its_first_words() -> None:
    entry = only(rss("<item><description>&lt;p&gt;It rained.&lt;/p&gt;</description><link>/a</link></item>"))
    assert entry.title == "It rained."
    assert only(rss("<item><link>/a</link></item>")).title == "https://news.example/a"


def test_an_entry_with_nothing_is_dropped() -> None:
    assert rss("<item/><item><title>&lt;img src=x&gt;</title></item>").entries == ()


def test_a_caption_is_not_taken_for_the_article() -> None:
    entry = item("<description>The story in brief.</description><media:description>A cat</media:description>")
    assert entry.summary == "The story in brief."
    assert "The story in brief." in entry.html


@pytest.mark.parametrize(
    ("inside", "image"),
    [
        ('<media:thumbnail url="/t.jpg"/>', "https://news.example/t.jpg"),
        ('<enclosure url="https://n.example/e.jpg" type="image/jpeg" length="1"/>', "https://n.example/e.jpg"),
        ('<enclosure url="https://n.example/e.mp3" type="audio/mpeg" length="1"/>', ""),
        ('<media:content url="https://n.example/v.mp4" type="video/mp4"/>', ""),
        ('<media:content url="https://1.gravatar.com/avatar/x" medium="image"/>', ""),
        ('<media:content url="javascript:1" medium="image"/><media:thumbnail url="/t.jpg"/>', "https://news.example/t.jpg"),
        ('<description>&lt;img src="/b.jpg"&gt;</description>', "https://news.example/b.jpg"),
        ('<media:content url="/x.jpg" width="9000"/><media:content url="/l.jpg" width="800"/>', "https://news.example/l.jpg"),
    ],
)  # fmt: skip
def test_the_best_picture_is_chosen(inside: str, image: str) -> None:
    assert item(inside).image_url == image


def test_an_address_is_nobodys_name() -> None:
    assert item("<author>jo@news.example (Jo Doe)</author>").author == "Jo Doe"
    assert item("<author>jo@news.example</author>").author == ""


def test_attacks_in_every_field_become_harmless() -> None:
    attack = "&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=javascript:alert(1) onerror=alert(1)&gt;T"
    entry = only(
        rss(
            f"<item><title>{attack}</title><link>javascript:alert(1)</link><author>{attack}</author>"
            f"<category>{attack}</category><description>{attack}</description>"
            "<enclosure url='javascript:alert(1)' type='image/png'/></item>"
        )
    )
    assert (entry.title, entry.url, entry.author, entry.image_url) == ("T", "", "T", "")
    assert (entry.categories, entry.summary) == ((Term("T"),), "T")
    assert entry.html == "T"


# Encodings


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ('<?xml version="1.0" encoding="iso-8859-1"?>{}'.encode("latin-1"), "text/xml"),
        (b'<?xml version="1.0" encoding="utf-8"?>{}', "text/xml; charset=iso-8859-1"),
        (b"{}", "application/rss+xml; charset=utf-8"),
        (b"{}", None),
        (b"\xef\xbb\xbf{}", "text/xml; charset=us-ascii"),
    ],
)
def test_the_encoding_is_found_where_header_and_document_disagree(body: bytes, content_type: str | None) -> None:
    text = '<rss version="2.0"><channel><title>Früh — später</title></channel></rss>'.replace("—", "-")
    codec = "latin-1" if b"iso-8859-1" in body else "utf-8"
    document = body.replace(b"{}", text.encode(codec))
    assert parse_document(document, URL, content_type).title == "Früh - später"


def test_utf_16_is_read() -> None:
    text = '<?xml version="1.0" encoding="utf-16"?><rss version="2.0"><channel><title>Früh</title></channel></rss>'
    assert parse_document(text.encode("utf-16"), URL, None).title == "Früh"


# Anything at all

TEXTS = st.text(max_size=30) | st.sampled_from(["<b>", "&lt;", "]]>", "<![CDATA[", "\x00", "\ud800", "javascript:x"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
FIELDS = """id url external_url title content_html content_text summary image banner_image date_published
date_modified authors author tags attachments"""
KEYS = st.sampled_from(FIELDS.split())


@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=6), max_size=3))
def test_any_json_feed_becomes_values_that_can_be_stored(items: list[dict[str, object]]) -> None:
    feed = json_feed(*items)
    assert from_json(json.loads(json.dumps(to_json(feed)))) == feed
    for entry in feed.entries:
        assert entry.identity
        assert entry.title
        assert "\x00" not in str(entry)
        str(to_json(feed)).encode()


@given(st.binary(max_size=200))
def test_any_bytes_are_a_feed_or_refused(body: bytes) -> None:
    with contextlib.suppress(ParseError):
        parse_document(body, URL, None)
