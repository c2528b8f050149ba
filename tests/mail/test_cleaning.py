"""Words from outside, made harmless."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.mail.cleaning import clean, clip, prose, subject
from tests.mail.samples import HOSTILE

ANY = st.one_of(
    st.text(),
    st.lists(st.sampled_from((*HOSTILE, "https://", "http", "://", "<", "b>", "&", "amp;", "=", "?", "\u202e"))).map(
        "".join
    ),
)


@given(ANY)
def test_cleaned_words_are_one_line_without_invisible_steering(text: str) -> None:
    words = clean(text, 100)
    assert len(words) <= 100
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ue000-\uf8ff\ud800-\udfff]", words)
    assert "=?" not in words
    assert words == words.strip()
    assert clean(words, 100) == words


@given(ANY)
def test_prose_holds_neither_link_nor_tag_nor_entity(text: str) -> None:
    words = prose(text, 200)
    assert not re.search(r"https?://", words, re.IGNORECASE)
    assert not re.search(r"</?[a-z][^>]*>", words)
    assert not re.search(r"&(#\d+|[a-z]+);", words)


@given(ANY)
def test_a_subject_is_never_empty_and_never_a_reply(text: str) -> None:
    line = subject(text, "The Harbour Post")
    assert line.strip()
    assert not re.match(r"(re|fwd?)\s*:", line, re.IGNORECASE)


def test_ordinary_words_stay_as_they_are() -> None:
    for text in ("AT&T buys R&D", "Q3: 5 < 6 > 4, up 3 %", "آپ‌کار", "👩‍👩‍👧", "Reform: what now?", "naïve – “yes”"):
        assert prose(text, 100) == unicodedata.normalize("NFC", text) == subject(text, "x")


def test_a_tag_in_a_headline_is_shown_and_not_dropped() -> None:
    assert prose("How to use <div> & &nbsp; well", 100) == "How to use ‹div› & & nbsp; well"


@pytest.mark.parametrize(
    ("text", "short"), [("one two three", "one two…"), ("onetwothree", "onetwothr…"), ("a b", "a b")]
)
def test_clipping_ends_between_words_where_it_can(text: str, short: str) -> None:
    assert clip(text, 10) == short
