"""Plain text out of markup. Pure."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.content.text import excerpt, is_marked_up, plain, summary_of, tidy


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("Fish &amp; Chips", "Fish & Chips"),
        ("<b>Bold</b>ly <i>said</i>", "Boldly said"),
        ("<p>One</p><p>Two<br>Three</p><ul><li>a<li>b</ul>", "One Two Three a b"),
        ("2 &lt; 3 and 5 &gt; 4", "2 < 3 and 5 > 4"),
        ("2 < 3 and 5 > 4", "2 < 3 and 5 > 4"),
        ("a<script>alert(1)</script>b<style>x{}</style>", "ab"),
        ("<img src=x onerror=alert(1)>", ""),
        ("History of the &lt;blink&gt; tag", "History of the ‹blink› tag"),
        ("&lt;img src=x onerror=alert(1)", "‹img src=x onerror=alert(1)›"),
        ("&amp;lt;b&amp;gt;", "&lt;b&gt;"),
        ("a\u202eb\u2028c\x00d\x85e\u200bf\ufeffg", "ab c d e\u200bfg"),
        ("line\r\n\tline\u00a0\u00a0end", "line line end"),
        ("\ud800broken\udfff", "broken"),
        ("نص\u200cعربي 👩\u200d👧", "نص\u200cعربي 👩\u200d👧"),
    ],
)
def test_markup_becomes_what_a_browser_would_show(markup: str, text: str) -> None:
    assert plain(markup) == text


@pytest.mark.parametrize("markup", ["<b>x</b>", "a<br>b", "a &amp; b", "&#38;", "&#x26;"])
def test_markup_is_recognised(markup: str) -> None:
    assert is_marked_up(markup)


@pytest.mark.parametrize("text", ["a < b", "AT&T", "a <b and c> d", "x -> y", "R&D; more"])
def test_plain_text_is_left_alone(text: str) -> None:
    assert not is_marked_up(text.replace("R&D;", "R&D ;"))


def test_an_excerpt_ends_at_a_word() -> None:
    assert excerpt("short", 10) == "short"
    assert excerpt("one two, three four", 12) == "one two…"
    assert excerpt("x" * 50, 10) == "x" * 9 + "…"
    assert len(excerpt("word " * 100)) <= 300


@pytest.mark.parametrize(
    "tail",
    [
        'The post <a href="x">A title</a> appeared first on <a href="y">The site</a>.',
        'Der Beitrag <a href="x">Ein Titel</a> erschien zuerst auf <a href="y">Die Seite</a>.',
        "L&#8217;article <a>Un titre</a> est apparu en premier sur <a>Le site</a>.",
    ],
)
def test_what_the_publishing_system_adds_is_left_out(tail: str) -> None:
    assert summary_of(f"<p>It happened. [&#8230;]</p>\n<p>{tail}</p>") == "It happened. …"


@given(st.text(max_size=300) | st.text(alphabet="<>/&;ab!?- lt#3\u202e\x00", max_size=100))
def test_no_text_keeps_tags_or_control_characters(markup: str) -> None:
    text = plain(markup)
    assert not re.search(r"<[a-zA-Z/!?]", text)
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text)
    assert not set(text) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
    assert tidy(text) == text
