"""MAIL and RCPT: every extension where it is offered, none where it is not, and nothing that an address could add."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.delivery.envelopes import Envelopes, original_recipient
from newsletter.delivery.replies import Failure, Outcome, Verdict

EVERYTHING = {
    "PIPELINING": "",
    "SIZE": "10240000",
    "8BITMIME": "",
    "SMTPUTF8": "",
    "DSN": "",
    "ENHANCEDSTATUSCODES": "",
}


def offer(
    extensions: dict[str, str], recipient: str = "r@example.org", content: bytes = b"x\r\n", *, utf8: bool = False
) -> bytes | Outcome:
    return Envelopes(extensions).write(7, "b@news.example", recipient, (content[:1], content[1:]), utf8=utf8)


def write(
    extensions: dict[str, str], recipient: str = "r@example.org", content: bytes = b"x\r\n", *, utf8: bool = False
) -> tuple[bytes, bytes]:
    written = offer(extensions, recipient, content, utf8=utf8)
    assert isinstance(written, bytes)
    mail, rcpt, data = written.splitlines(keepends=True)
    assert data == b"DATA\r\n"
    return mail, rcpt


def test_a_relay_that_offers_nothing_is_asked_for_nothing() -> None:
    assert write({}) == (b"MAIL FROM:<b@news.example>\r\n", b"RCPT TO:<r@example.org>\r\n")


def test_what_is_offered_and_of_use_is_used() -> None:
    mail, rcpt = write(EVERYTHING)
    assert mail == b"MAIL FROM:<b@news.example> SIZE=3 RET=HDRS ENVID=7\r\n"
    assert rcpt == b"RCPT TO:<r@example.org> NOTIFY=FAILURE ORCPT=rfc822;r@example.org\r\n"


def test_an_address_beyond_ascii_asks_for_smtputf8() -> None:
    mail, rcpt = write(EVERYTHING, "jörg+x@exämple.org")
    assert mail == b"MAIL FROM:<b@news.example> SIZE=3 SMTPUTF8 RET=HDRS ENVID=7\r\n"
    assert rcpt.decode() == (
        "RCPT TO:<jörg+x@exämple.org> NOTIFY=FAILURE ORCPT=utf-8;j\\x{F6}rg\\x{2B}x@ex\\x{E4}mple.org\r\n"
    )


def test_eight_bit_content_is_said_to_be_so() -> None:
    mail, _ = write(EVERYTHING, content="Subject: für\r\n".encode(), utf8=True)
    assert b" BODY=8BITMIME SMTPUTF8" in mail


@pytest.mark.parametrize(
    ("missing", "recipient", "content", "failure"),
    [
        ("SMTPUTF8", "jörg@example.org", b"x\r\n", Failure.ADDRESS),
        ("8BITMIME", "ü@example.org", "ü\r\n".encode(), Failure.BUG),
    ],
)
def test_what_the_relay_lacks_is_said_before_it_is_asked(
    missing: str, recipient: str, content: bytes, failure: Failure
) -> None:
    outcome = offer({name: rest for name, rest in EVERYTHING.items() if name != missing}, recipient, content)
    assert isinstance(outcome, Outcome)
    assert (outcome.verdict, outcome.failure) == (Verdict.UNSENDABLE, failure)


@pytest.mark.parametrize(
    ("offered", "fits"), [("3", True), ("2", False), ("0", True), ("", True), ("much", True), ("9" * 5000, True)]
)
def test_the_size_is_looked_at_before_mail(offered: str, fits: bool) -> None:
    outcome = offer({"SIZE": offered})
    if isinstance(outcome, Outcome):
        assert not fits
        assert outcome.failure is Failure.BUG
    else:
        assert fits
        assert b" SIZE=3" in outcome


@pytest.mark.parametrize("extensions", [chosen for n in range(6) for chosen in itertools.combinations(EVERYTHING, n)])
def test_no_parameter_without_its_extension(extensions: tuple[str, ...]) -> None:
    mail, rcpt = write({name: EVERYTHING[name] for name in extensions})
    assert (b" SIZE=" in mail) == ("SIZE" in extensions)
    assert (b" ENVID=" in mail) == (b" ORCPT=" in rcpt) == ("DSN" in extensions)
    assert b"BODY" not in mail


anything = st.text(st.characters(codec=None, exclude_categories=[]))


@given(anything, anything, st.sampled_from([{}, EVERYTHING]))
def test_no_address_adds_a_command_or_a_parameter(sender: str, recipient: str, extensions: dict[str, str]) -> None:
    written = Envelopes(extensions).write(1, sender, recipient, ())
    if isinstance(written, Outcome):
        assert written.verdict is Verdict.UNSENDABLE
        return
    mail, rcpt, data, nothing = written.split(b"\r\n")
    assert (data, nothing) == (b"DATA", b"")
    for command, verb in ((mail, "MAIL FROM:<"), (rcpt, "RCPT TO:<")):
        assert not re.search(rb"[\r\n]", command)
        address, _, parameters = command.decode().partition(">")
        assert address.startswith(verb)
        assert address.count("<") == 1
        assert all(re.fullmatch(r"[A-Z0-9]+(=[!-<>-~]+)?", one) for one in parameters.split())


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126)))
def test_xtext_is_read_back_as_what_it_was(address: str) -> None:
    quoted = original_recipient(address).removeprefix("rfc822;")
    assert re.sub(r"\+([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), quoted) == address


@given(st.text(st.characters(exclude_categories=["Cs"])).filter(lambda text: not text.isascii()))
def test_the_utf8_form_is_read_back_as_what_it_was(address: str) -> None:
    quoted = original_recipient(address).removeprefix("utf-8;")
    assert quoted.isascii()
    assert re.sub(r"\\x\{([0-9A-F]{2,6})\}", lambda found: chr(int(found[1], 16)), quoted) == address
