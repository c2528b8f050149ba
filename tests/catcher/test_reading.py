"""Whatever bytes come in as a message, something can be shown of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.catcher.reading import read

HEADER_PIECES = st.sampled_from(
    b"Subject: |Content-Type: |text/html|multipart/mixed|; boundary=x|; charset=|hex|\r\n|=?utf-8?b?|=?none?q?=FF|?=|"
    b"Content-Transfer-Encoding: base64|--x|--x--|\xff\x00| ".split(b"|")
)


@given(st.one_of(st.binary(max_size=300), st.lists(HEADER_PIECES, max_size=30).map(b"".join)))
def test_anything_can_be_read(raw: bytes) -> None:
    message = read(raw)
    for shown in (message.header("Subject"), message.html or "", message.text or ""):
        shown.encode()  # no half characters that a page could not be written with


@pytest.mark.parametrize(
    ("raw", "subject"),
    [
        (b"Subject: =?utf-8?q?Z=C3=BCrich?= today", "Zürich today"),
        (b"Subject: Z\xc3\xbcrich", "Zürich"),
        (b"Subject: one\r\n two", "one two"),
        (b"Subject: =?no-such-charset?q?=C3?=", "=?no-such-charset?q?=C3?="),
        (b"Subject: =?utf-8?b?Zg=?=", "f"),
        (b"From: x", ""),
    ],
)
def test_subjects_are_decoded_where_they_can_be(raw: bytes, subject: str) -> None:
    assert read(raw + b"\r\n\r\n").header("subject") == subject


def test_an_attached_page_is_not_the_mail() -> None:
    page = b"Content-Type: text/html\r\n"
    raw = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\n" + page + b"Content-Disposition: attachment\r\n\r\n<p>attached\r\n"
        b"--b\r\n" + page + b"\r\n<p>mail\r\n--b--\r\n"
    )
    assert read(raw).html == "<p>mail"


def test_an_unknown_character_set_is_read_as_utf_8() -> None:
    assert read(b"Content-Type: text/plain; charset=klingon\r\n\r\nna\xc3\xafve").text == "naïve"
