"""Signatures hold before three independent judges, and cover what they must."""

import dataclasses
import re
from collections import Counter

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from hypothesis import given
from hypothesis import strategies as st

from newsletter.foundation.errors import InvalidError, RenderError
from newsletter.mail.dkim import OVERSIGNED, Signer, SigningKey
from newsletter.mail.headers import Field
from newsletter.publication.models import KeyAlgorithm
from tests.mail import signing, verifying
from tests.mail.verifying import Verifier

KEY = signing.key("nl202611")
SIGNER = Signer([KEY])
RECORDS = signing.records(KEY)
A2 = [
    "from",
    "to",
    "cc",
    "subject",
    "date",
    "reply-to",
    "message-id",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "sender",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "list-id",
    "feedback-id",
    "cfbl-address",
    "cfbl-feedback-id",
]


def tags(field: Field) -> dict[str, str]:
    value = re.sub(r"\s", "", field.line.decode().partition(":")[2])
    return dict(tag.partition("=")[::2] for tag in value.split(";"))


def test_digests_and_system_mails_pass(verifier: Verifier) -> None:
    mails = [*signing.digests(SIGNER), *signing.system_mails(SIGNER)]
    verdicts = verifier(mails, RECORDS)
    assert verifying.results(verdicts) == [["pass"]] * len(mails)
    for (verdict,) in verdicts[:-2]:
        assert (verdict.d, verdict.s, verdict.a) == ("harbour.example", "nl202611", "rsa-sha256")
        assert {"list-unsubscribe", "list-unsubscribe-post"} <= set(verdict.signed.split(":"))  # standards L3


def test_no_field_can_be_added_changed_or_taken_away_and_no_body_changed(verifier: Verifier) -> None:
    good, message = signing.digest(SIGNER), signing.digest()
    assert good.endswith(message)
    signature = good[: -len(message)]
    head, _, body = message.partition(b"\r\n\r\n")
    added = [
        f"{name}: {value}\r\n".encode()
        for name, value in {
            "Subject": "You have won",
            "From": "The Harbour Post <news@evil.example>",
            "To": "berta@example.org",
            "Cc": "berta@example.org",
            "Sender": "news@evil.example",
            "Reply-To": "desk@evil.example",
            "Date": "Mon, 23 Nov 2026 06:00:00 +0000",
            "List-Unsubscribe": "<https://evil.example/u>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            "List-Id": "<daily.lists.evil.example>",
            "Message-ID": "<1@evil.example>",
            "Content-Type": "text/html",
            "Content-Transfer-Encoding": "base64",
            "Feedback-ID": "a:b:c:evil",
            "CFBL-Address": "fbl@evil.example; report=arf",
        }.items()
    ]
    without = [
        signature + b"".join(field.line for field in signing.fields_of(head + b"\r\n") if field.name != name) + b"\r\n"
        for name in ("List-Unsubscribe", "List-Id", "Reply-To", "Date", "Subject", "Precedence")
    ]
    tampered = [
        *(line + good for line in added),
        *(signature + head + b"\r\n" + line + b"\r\n" + body for line in added),
        *(short + body for short in without),
        good.replace(b"Subject: ", b"Subject: Re: ", 1),
        good.replace(b"news.example.org/u/", b"evil.example/u/", 1),
        good[:-40] + good[-40:].replace(b"alternative", b"Alternative"),
        good + b"one more line\r\n",
        signature.replace(b"d=harbour.example", b"d=evil.example") + message,
        re.sub(rb"x=(\d)", rb"x=9\1", signature) + message,
    ]
    assert good not in tampered
    verdicts = verifier(
        [good, *tampered], {**RECORDS, "nl202611._domainkey.evil.example": next(iter(RECORDS.values()))}
    )
    assert verifying.results(verdicts[:1]) == [["pass"]]
    assert all(one.result != "pass" for mail in verdicts[1:] for one in mail)


def test_what_relays_do_on_the_way_does_no_harm(verifier: Verifier) -> None:
    good = signing.digest(SIGNER)
    received = (
        b"Received: from a.example (a.example [192.0.2.1])\r\n\tby b.example; Mon, 23 Nov 2026 06:00:01 +0000\r\n"
    )
    folded = good.replace(b"Subject: ", b"SUBJECT:\r\n\t ", 1)
    mails = [b"Return-Path: <b+1@bounces.harbour.example>\r\n" + received + good, folded, good + b"\r\n\r\n"]
    assert verifying.results(verifier(mails, RECORDS)) == [["pass"]] * 3


def test_mail_that_was_signed_before_a_rotation_still_passes(verifier: Verifier) -> None:
    following = signing.key("nl202612")
    before, after = signing.digest(SIGNER), signing.digest(Signer([following]))
    both = signing.records(KEY, following)
    assert verifying.results(verifier([before, after], both)) == [["pass"], ["pass"]]
    revoked = {**both, "nl202611._domainkey.harbour.example": "v=DKIM1; k=rsa; p="}
    (old,), (new,) = verifying.results(verifier([before, after], revoked))
    assert old != "pass"
    assert new == "pass"


def test_ed25519_signs_beside_rsa(verifier: Verifier) -> None:
    beside = signing.key("ed", KeyAlgorithm.ED25519)
    mail = signing.digest(Signer([beside, KEY]))
    first, *rest = verifier([mail], signing.records(KEY, beside))[0]
    assert (first.a, first.result) == ("rsa-sha256", "pass")
    if verifier is not verifying.by_mail_dkim:  # Debian's has no Ed25519 yet
        assert [(one.a, one.result) for one in rest] == [("ed25519-sha256", "pass")]


def test_the_list_names_each_guarded_field_once_more_than_it_is_there() -> None:
    assert [name.lower() for name in OVERSIGNED] == A2
    for content in (*signing.digests()[:1], *signing.system_mails()):
        fields = signing.fields_of(content.partition(b"\r\n\r\n")[0] + b"\r\n")
        (signature,) = signing.sign(SIGNER, fields)
        there = Counter(field.name.lower() for field in fields)
        listed = Counter(tags(signature)["h"].lower().split(":"))
        assert listed == there + Counter(A2)


def test_the_signature_says_how_when_and_how_long() -> None:
    (signature,) = signing.sign(SIGNER, signing.fields_of(b"From: a@harbour.example\r\n"))
    found = tags(signature)
    assert found["v"] == "1"
    assert (found["a"], found["c"]) == ("rsa-sha256", "relaxed/relaxed")
    assert "l" not in found
    assert int(found["t"]) == int(signing.AT.timestamp())
    assert 7 * 86400 <= int(found["x"]) - int(found["t"]) <= 14 * 86400


@pytest.mark.parametrize(
    "domain", [signing.DOMAIN, "-".join(["quay"] * 12) + ".harbour.example", f"{'x' * 60}." * 4 + "de"]
)
@pytest.mark.parametrize("selector", ["a", "s" * 63])
def test_lines_are_short_and_end_with_crlf(domain: str, selector: str) -> None:
    key = dataclasses.replace(KEY, domain=domain, selector=selector)
    beside = dataclasses.replace(signing.key("ed", KeyAlgorithm.ED25519), domain=domain)
    fields = signing.fields_of(signing.digest().partition(b"\r\n\r\n")[0] + b"\r\n")
    sender = Field("From", f"From: news@{domain}\r\n".encode())
    fields = [sender if field.name == "From" else field for field in fields]
    for signature in signing.sign(Signer([key, beside]), fields):
        *lines, end = signature.line.split(b"\r\n")
        assert end == b""
        assert b"\r" not in b"".join(lines)
        assert b"\n" not in b"".join(lines)
        assert all(len(line) <= 78 or (domain.encode() in line and b" d=" in line) for line in lines)
        assert all(line.startswith(b" ") and line.strip() for line in lines[1:])


@pytest.mark.parametrize(
    "sender",
    ["news@evil.example", "news@harbour.example.evil", "news@sub.harbour.example", "news@xharbour.example"],
)
def test_keys_sign_no_mail_from_another_domain(sender: str) -> None:
    for line in (f"From: {sender}\r\n", f"From: news@harbour.example <{sender}>\r\n"):
        with pytest.raises(RenderError, match=r"harbour\.example sign no mail from another"):
            SIGNER.head(signing.fields_of(line.encode()))


def test_a_head_without_from_or_with_two_is_not_signed() -> None:
    for head in (b"To: a@harbour.example\r\n", b"From: a@harbour.example\r\nFROM: b@harbour.example\r\n"):
        with pytest.raises(RenderError, match="one From"):
            SIGNER.head(signing.fields_of(head))


def test_a_signer_wants_rsa_of_one_domain() -> None:
    with pytest.raises(InvalidError, match="RSA"):
        Signer([])
    with pytest.raises(InvalidError, match="RSA"):
        Signer([signing.key("ed", KeyAlgorithm.ED25519)])
    with pytest.raises(InvalidError, match="own domain"):
        Signer([KEY, dataclasses.replace(KEY, domain="quay.example")])


def test_a_short_key_does_not_sign() -> None:
    with pytest.raises(InvalidError, match="2048"):
        SigningKey("harbour.example", "old", generate_private_key(65537, 1024))


def test_a_key_is_not_shown() -> None:
    assert "private" not in repr(KEY)
    assert repr(KEY) == "SigningKey(domain='harbour.example', selector='nl202611')"
    assert "rivate" not in repr(SIGNER) + str(vars(SIGNER))


SPACE = st.sampled_from([" ", "  ", "\t", "\r\n ", " \r\n\t", " \t \r\n  "])
WORD = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=12)


@st.composite
def values(draw: st.DrawFn) -> bytes:
    """What may stand behind a field's name: words with all sorts of white space before, between and after."""
    words = draw(st.lists(WORD, min_size=1, max_size=6))
    text = draw(st.sampled_from(["", " ", "\t", "\r\n "])) + words[0]
    for word in words[1:]:
        text += draw(SPACE) + word
    return (text + draw(st.sampled_from(["", " ", "\t "]))).encode()


OTHERS = [*OVERSIGNED[1:], "Precedence", "List-Help", "X-Anything", "x-other"]
LINE = st.one_of(
    st.binary(max_size=30).map(lambda line: line.translate(None, b"\r\n")),
    st.text(" \tab.=", max_size=10).map(str.encode),
)


@given(
    st.lists(st.tuples(st.sampled_from(OTHERS), values()), max_size=12),
    st.integers(min_value=0, max_value=12),
    st.lists(LINE, max_size=6),
)
def test_whatever_stands_in_fields_and_body_it_verifies(
    others: list[tuple[str, bytes]], place: int, lines: list[bytes]
) -> None:
    fields = [Field(name, name.encode() + b":" + value + b"\r\n") for name, value in others]
    fields.insert(place, Field("From", b"From:\r\n The Harbour \t Post <news@harbour.example>\r\n"))
    content = b"".join(field.line for field in fields) + b"\r\n" + b"".join(line + b"\r\n" for line in lines)
    ((verdict,),) = verifying.by_dkimpy([signing.signed(content, SIGNER)], RECORDS)
    assert (verdict.result, verdict.why) == ("pass", "")
