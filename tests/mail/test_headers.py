"""Header fields, read back by a parser that is not ours."""

import datetime
import email
import email.header
import re
from collections.abc import Sequence
from email.utils import getaddresses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.foundation.errors import RenderError
from newsletter.mail import headers, message, personal
from newsletter.mail.addresses import address
from newsletter.mail.cleaning import clean, subject
from newsletter.mail.fragments import encode
from tests.mail import samples
from tests.mail.samples import HOSTILE

TRICKS = st.sampled_from((*HOSTILE, "=?utf-8?b?4pyT?=", "=?", "?=", "\r\n", "\n ", "\u200f", '"', "\\", "é", "🚢"))
WORDS = st.one_of(st.text(max_size=200), st.lists(TRICKS | st.text(max_size=12), max_size=8).map("".join))
ADDRESS = address("news@harbour.example")


def built(*fields: headers.Field) -> bytes:
    required = {
        "From": headers.mailbox("From", "The Harbour Post", ADDRESS),
        "To": headers.to(address("anna@example.org")),
        "Subject": headers.unstructured("Subject", "Hello"),
        "Date": headers.date(datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC)),
        "Message-ID": headers.message_id("<1.a@harbour.example>"),
    }
    required |= {field.name: field for field in fields}
    return build(tuple(required.values()))


def build(fields: Sequence[headers.Field]) -> bytes:
    return message.build(samples.envelope(), ADDRESS, fields, encode("text\n"), encode("<p>html</p>\n")).content


def personal_field(
    name: str,
    *,
    one_click: str = "https://news.example.org/u/a",
    mailto: str = "",
    message_id: str = "<1.a@harbour.example>",
) -> headers.Field:
    """Return one of the header fields that are a reader's own."""
    post = samples.envelope()._replace(message_id=message_id)
    links = samples.links()._replace(one_click=one_click, mailto=mailto)
    return next(field for field in personal.fields(personal.head(address(post.to), post, links)) if field.name == name)


def decoded(raw: bytes, name: str) -> str:
    """Unfold and decode as RFC 5322 and 2047 say, with the standard library's oldest parser."""
    return decode(email.message_from_bytes(raw)[name].replace("\r\n", ""))


def decode(value: str) -> str:
    return str(email.header.make_header(email.header.decode_header(value)))


def check_lines(raw: bytes) -> None:
    head = raw.partition(b"\r\n\r\n")[0]
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw)
    assert max(map(len, head.split(b"\r\n"))) <= 78
    assert all(len(word) <= 75 for word in re.findall(rb"=\?[^?\s]+\?[bq]\?[^?]*\?=", head))


@given(WORDS)
def test_a_subject_comes_out_as_it_was_meant_and_adds_no_header(text: str) -> None:
    meant = subject(text, "Fallback")
    raw = built(headers.unstructured("Subject", meant))
    assert decoded(raw, "Subject") == meant
    assert re.search(rb"^Subject: \S", raw, re.MULTILINE)
    assert email.message_from_bytes(raw).keys() == email.message_from_bytes(built()).keys()
    check_lines(raw)


@given(WORDS)
def test_a_display_name_comes_out_as_it_was_meant(text: str) -> None:
    meant = clean(text, 120) or "Name"
    raw = built(headers.mailbox("From", meant, ADDRESS))
    value = email.message_from_bytes(raw)["From"].replace("\r\n", "")
    [(name, found)] = getaddresses([value])
    assert (decode(name), found) == (meant, "news@harbour.example")
    check_lines(raw)


@given(WORDS, st.from_regex(r"[a-z0-9][a-z0-9-]{0,30}", fullmatch=True))
def test_a_list_id_ends_in_its_identifier_whatever_the_list_is_called(name: str, slug: str) -> None:
    field = headers.list_id(clean(name, 120) or "List", slug, "harbour.example")
    unfolded = field.line.replace(b"\r\n ", b" ")
    assert unfolded.endswith(f" <{slug}.lists.harbour.example>\r\n".encode())
    assert b"=?" not in unfolded.rpartition(b"<")[2]
    raw = built(field)
    assert len(email.message_from_bytes(raw).get_all("List-Id", [])) == 1
    check_lines(raw)


def test_a_long_ascii_subject_is_folded_and_a_long_word_encoded() -> None:
    for text in ("ship " * 29, "x" * 150):
        raw = built(headers.unstructured("Subject", text.strip()))
        assert decoded(raw, "Subject") == text.strip()
        check_lines(raw)


def test_the_web_address_for_leaving_comes_first_and_is_never_encoded() -> None:
    url = "https://news.example.org/u/" + "A" * 250
    field = personal_field("List-Unsubscribe", one_click=url, mailto="mailto:leave+abc@harbour.example?subject=leave")
    assert field.line.replace(b"\r\n ", b" ").decode() == (
        f"List-Unsubscribe: <{url}>, <mailto:leave+abc@harbour.example?subject=leave>\r\n"
    )


@pytest.mark.parametrize("mailto", ["mailto:a@b.example>, <https://evil.example", "mailto:a b@c.example", "x:y"])
def test_a_malformed_mailto_is_refused(mailto: str) -> None:
    with pytest.raises(RenderError):
        personal_field("List-Unsubscribe", mailto=mailto)


@given(st.text(max_size=30), st.text(max_size=30))
def test_feedback_id_has_four_different_values_with_the_sender_last(issue: str, slug: str) -> None:
    unfolded = headers.feedback_id(issue, slug, "digest", "harbourpost").line.replace(b"\r\n ", b" ").decode()
    values = unfolded.removeprefix("Feedback-ID: ").split(":")
    assert len(values) == len(set(values)) == 4
    assert values[-1] == "harbourpost\r\n"


@pytest.mark.parametrize(
    "text", ["1.a@b.example", "<1.a@b.example", "<a b@c.example>", "<a@b>\r\nX: y", "<é@b.example>", "<a@b@c>"]
)
def test_a_malformed_message_id_is_refused(text: str) -> None:
    with pytest.raises(RenderError):
        headers.message_id(text)
    with pytest.raises(RenderError):
        personal_field("Message-ID", message_id=text)


@pytest.mark.parametrize("value", ["a\r\nBcc: b@c.example", "a\nb", "a\rb", "a\0b", "", "é", "x" * 1000, "x y " * 600])
def test_no_structured_value_can_break_its_header(value: str) -> None:
    with pytest.raises(RenderError):
        headers.structured("Feedback-ID", value)


def test_a_header_beyond_our_list_is_refused() -> None:
    with pytest.raises(RenderError):
        headers.structured("Bcc", "a@b.example")


def test_a_message_with_a_header_twice_or_one_too_few_is_refused() -> None:
    twice = [headers.structured("Precedence", "bulk")] * 2
    with pytest.raises(RenderError):
        build(twice)
    with pytest.raises(RenderError):
        build([headers.to(ADDRESS)])


def test_a_field_that_smuggles_another_is_seen_when_the_head_is_read_back() -> None:
    with pytest.raises(RenderError):
        built(headers.Field("Precedence", b"Precedence: bulk\r\nBcc: all@example.org\r\n"))


@pytest.mark.parametrize(
    ("typed", "wire", "smtputf8"),
    [
        ("anna@example.org", "anna@example.org", False),
        ("Anna+news@Example.ORG", "Anna+news@example.org", False),
        ("a@übersee.example", "a@xn--bersee-2ya.example", False),
        ("jörg@example.org", "jörg@example.org", True),
        ("o'neil@example.org", "o'neil@example.org", False),
    ],
)
def test_addresses_go_out_with_ascii_domains(typed: str, wire: str, smtputf8: bool) -> None:
    assert address(typed) == (wire, smtputf8)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "anna",
        "@example.org",
        "a@",
        "a b@example.org",
        "a@b@c",
        "a@-b.example",
        "a..b@c.example",
        "a,b@c.example",
        "a@example.org\r\nBcc: x@y",
        "a\u2028@b.example",
        "<a@b.example>",
        "a@b_c.example",
        "x" * 65 + "@b.example",
    ],
)
def test_what_is_no_plain_address_is_refused(text: str) -> None:
    with pytest.raises(RenderError):
        address(text)


@given(st.text(max_size=40))
def test_no_text_makes_a_recipient_of_two_or_a_broken_line(text: str) -> None:
    try:
        recipient = address(text)
    except RenderError:
        return
    line = headers.to(recipient).line.decode()
    assert len(getaddresses([line.removeprefix("To: ").removesuffix("\r\n")])) == 1
    assert line.count("\n") == 1


def test_a_recipient_beyond_ascii_asks_for_smtputf8() -> None:
    raw = built(headers.to(address("jörg@example.org")))
    assert "To: jörg@example.org\r\n".encode() in raw
