"""Which reply says something about the reader, which about us, and which about nothing but the moment."""

import csv
import email
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from newsletter.delivery.replies import Failure, Outcome, Phase, Verdict, judge, lost, shorten, slows_down
from tests.servers.given import nothing_may_be_skipped

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "data" / "bounces"
NAMED = (Phase.RCPT, Phase.DATA, Phase.DOT)
OUR_FAULT = (Failure.AUTHENTICATION, Failure.REPUTATION, Failure.BUG)

TABLE = {
    # the address is dead
    (550, "5.1.1 <x@example.org>: Recipient address rejected: User unknown in virtual table"): Failure.READER,
    (550, "5.1.1 There is no account of that name.\nSee support.example/?p=NoSuchUser"): Failure.READER,
    (550, "5.1.10 RESOLVER: recipient not found by lookup"): Failure.READER,
    (550, "5.1.3 bad address syntax"): Failure.READER,
    (550, "5.1.6 the recipient has moved"): Failure.READER,
    (550, "5.2.1 The account you tried to reach is inactive"): Failure.READER,
    (550, "5.2.1 mailbox disabled"): Failure.READER,
    (550, "5.5.0 Requested action not taken: mailbox unavailable"): Failure.READER,
    (550, "#5.1.0 Address rejected."): Failure.READER,
    (550, "No such user here"): Failure.READER,
    (554, "delivery error: this user doesn't have a mail.example account"): Failure.READER,
    (525, "5.7.13 user account disabled"): Failure.READER,
    (550, "5.1.1 no such mailbox, see our spam policy"): Failure.READER,
    (551, ""): Failure.READER,
    # not dead, though the code says so
    (550, "5.2.1 The user you are trying to contact is receiving email at a rate that is too high"): Failure.MAILBOX,
    (552, "5.2.2 The recipient's inbox is out of storage space and inactive."): Failure.MAILBOX,
    (550, "5.4.1 Recipient address rejected: Access denied. [AB1.prod.example]"): Failure.MAILBOX,
    (552, "mailbox over quota"): Failure.MAILBOX,
    (550, "the mailbox is full"): Failure.MAILBOX,
    (552, ""): Failure.MAILBOX,
    (553, "5.3.5 system config error"): Failure.MAILBOX,
    # the domain is dead
    (550, "5.1.2 bad destination system"): Failure.DOMAIN,
    (550, "5.4.4 Host or domain name not found. Name service error: NXDOMAIN"): Failure.DOMAIN,
    (556, "Recipient address has null MX"): Failure.DOMAIN,
    (554, "the domain is not reachable"): Failure.DOMAIN,
    # our authentication
    **{(550, f"5.7.{n} refused"): Failure.AUTHENTICATION for n in (*range(23, 28), *range(29, 33), 40, 515, 509, 9)},
    (550, "5.7.1 Email rejected per DMARC policy for news.example"): Failure.AUTHENTICATION,
    (554, "5.7.1 <x@example.org>: Relay access denied"): Failure.AUTHENTICATION,
    (530, "5.7.0 Authentication required"): Failure.AUTHENTICATION,
    (530, "Must issue a STARTTLS command first"): Failure.AUTHENTICATION,
    (550, "SPF check failed"): Failure.AUTHENTICATION,
    (550, "5.1.8 <b@news.example>: Sender address rejected: Domain not found"): Failure.AUTHENTICATION,
    (550, "5.1.0 192.0.2.1 is not allowed to send, see your SPF record"): Failure.AUTHENTICATION,
    (554, "Message rejected: Email address is not verified."): Failure.AUTHENTICATION,
    # our reputation
    (550, "5.7.1 our system has detected that this message is likely unsolicited mail"): Failure.REPUTATION,
    (550, "5.7.0 local policy"): Failure.REPUTATION,
    (550, "5.7.28 unusual rate of unsolicited mail from your address"): Failure.REPUTATION,
    **{(550, f"5.7.{n} access denied, banned"): Failure.REPUTATION for n in (606, 620, 649, 511, 708)},
    (553, "5.7.1 [BL21] connections will not be accepted, listed by an RBL"): Failure.REPUTATION,
    (554, "5.7.9 [PH01] message refused"): Failure.AUTHENTICATION,
    (553, "[TSS09] all messages from 192.0.2.1 will be deferred"): Failure.REPUTATION,
    (554, "service unavailable; client host blocked using zen.dnsbl.example"): Failure.REPUTATION,
    (554, ""): Failure.REPUTATION,
    (554, "5.6.0 scored as spam"): Failure.REPUTATION,
    (550, "5.1.1 blocked, your address is on a blacklist"): Failure.REPUTATION,
    (550, "5.7.6 failed"): Failure.REPUTATION,
    # our bug
    (550, "5.7.1 the message is not RFC 5322 compliant"): Failure.BUG,
    (550, "5.7.1 Encoded-word syntax is not permitted in message header"): Failure.BUG,
    (554, "5.6.0 malformed"): Failure.BUG,
    (552, "5.3.4 headers too large"): Failure.BUG,
    (550, "5.2.3 message too large for this recipient"): Failure.BUG,
    (503, "5.5.1 bad sequence of commands"): Failure.BUG,
    (550, "5.5.2 syntax error"): Failure.BUG,
    (501, "what?"): Failure.BUG,
    # a next hop that knows no such addresses
    (550, "5.6.7 SMTPUTF8 required"): Failure.ADDRESS,
}
VERDICT = {
    Failure.READER: Verdict.REFUSED,
    Failure.MAILBOX: Verdict.REFUSED,
    Failure.DOMAIN: Verdict.REFUSED,
    Failure.AUTHENTICATION: Verdict.BLOCKED,
    Failure.REPUTATION: Verdict.BLOCKED,
    Failure.BUG: Verdict.UNSENDABLE,
    Failure.ADDRESS: Verdict.UNSENDABLE,
}


@pytest.mark.parametrize(("reply", "failure"), TABLE.items())
@pytest.mark.parametrize("phase", NAMED)
def test_a_refusal_is_about_the_reader_or_about_us(phase: Phase, reply: tuple[int, str], failure: Failure) -> None:
    outcome = judge(phase, *reply)
    if phase is not Phase.RCPT and reply == (551, ""):  # after DATA a bare no is about the content
        failure = Failure.REPUTATION
    assert (outcome.failure, outcome.verdict) == (failure, VERDICT[failure])


@pytest.mark.parametrize(
    ("code", "text", "failure"),
    [
        (421, "4.7.28 unusual rate of mail", Failure.REPUTATION),
        (450, "4.7.28 later", Failure.REPUTATION),
        (421, "[TSS04] temporarily deferred due to unexpected volume", Failure.REPUTATION),
        (451, "4.7.650 rate limited due to IP reputation", Failure.REPUTATION),
        (452, "too many recipients", Failure.REPUTATION),
        (421, "4.3.2 system shutting down", Failure.TEMPORARY),
        (421, "4.7.26 unauthenticated", Failure.AUTHENTICATION),
        (450, "4.7.32 not aligned", Failure.AUTHENTICATION),
        (452, "4.2.2 over quota", Failure.MAILBOX),
        (450, "4.2.1 The user is receiving mail at a rate that is too high", Failure.MAILBOX),
        (451, "4.7.1 greylisted by policy, come back later", Failure.TEMPORARY),
        (450, "4.1.1 user unknown", Failure.TEMPORARY),
        (451, "local error", Failure.TEMPORARY),
        (499, "", Failure.TEMPORARY),
    ],
)
@pytest.mark.parametrize("phase", NAMED)
def test_a_temporary_reply_is_tried_again_and_says_why(phase: Phase, code: int, text: str, failure: Failure) -> None:
    outcome = judge(phase, code, text)
    assert (outcome.verdict, outcome.failure) == (Verdict.TEMPORARY, failure)


@pytest.mark.parametrize(
    ("phase", "code", "text", "failure"),
    [
        (Phase.GREETING, 554, "no service for you", Failure.REPUTATION),
        (Phase.HELLO, 550, "5.7.1 blocked", Failure.REPUTATION),
        (Phase.HELLO, 504, "5.5.2 need fully-qualified hostname", Failure.BUG),
        (Phase.TLS, 502, "unknown command", Failure.BUG),
        (Phase.AUTH, 535, "5.7.8 bad credentials", Failure.AUTHENTICATION),
        (Phase.MAIL, 530, "5.7.0 log in first", Failure.REPUTATION),
        (Phase.MAIL, 550, "5.1.8 sender rejected", Failure.AUTHENTICATION),
        (Phase.MAIL, 553, "not your address", Failure.AUTHENTICATION),
        (Phase.MAIL, 550, "5.1.1 user unknown", Failure.AUTHENTICATION),
    ],
)
def test_before_the_reader_is_named_every_refusal_is_ours(phase: Phase, code: int, text: str, failure: Failure) -> None:
    outcome = judge(phase, code, text)
    assert (outcome.verdict, outcome.failure) == (Verdict.OURS, failure)


def test_at_mail_what_hangs_on_one_message_does_not_stop_the_relay() -> None:
    assert judge(Phase.MAIL, 552, "5.3.4 too large").failure is Failure.BUG
    assert judge(Phase.MAIL, 552, "too large").verdict is Verdict.UNSENDABLE
    assert judge(Phase.MAIL, 555, "what is SMTPUTF8?", utf8=True).failure is Failure.ADDRESS
    assert judge(Phase.MAIL, 550, "5.6.7 no", utf8=True).verdict is Verdict.UNSENDABLE


def test_an_answer_that_is_none_resends_nothing_after_the_dot() -> None:
    assert judge(Phase.DOT, 354, "go on").verdict is Verdict.UNKNOWN
    assert judge(Phase.RCPT, 354, "go on").verdict is Verdict.TEMPORARY
    assert judge(Phase.HELLO, 220, "hello").verdict is Verdict.OURS


@pytest.mark.parametrize(
    ("code", "text", "slows"),
    [
        (421, "4.3.2 going down", True),
        (550, "5.7.28 too much mail", True),
        (450, "4.7.28 later", True),
        (451, "rate limit exceeded", True),
        (452, "too many connections from your host", True),
        (451, "[TSS04] deferred due to unexpected volume", True),
        (450, "4.2.1 The user is receiving mail at a rate that is too high", False),
        (451, "4.7.1 greylisted", False),
        (550, "5.1.1 unknown", False),
        (250, "2.0.0 rate limit of 10", False),
    ],
)
def test_some_replies_ask_for_less(code: int, text: str, slows: bool) -> None:
    assert slows_down(judge(Phase.DOT, code, text)) is slows


def test_silence_slows_nothing_down() -> None:
    assert not slows_down(lost(Phase.DOT, "too many connections"))
    assert not slows_down(Outcome(Verdict.UNSENT))


@pytest.mark.parametrize("phase", Phase)
def test_silence_is_unknown_only_after_the_dot(phase: Phase) -> None:
    assert lost(phase, "gone").verdict is (Verdict.UNKNOWN if phase is Phase.DOT else Verdict.UNSENT)


words = st.lists(
    st.one_of(
        st.sampled_from(sorted({word for _, text in TABLE for word in text.split()})),
        st.builds("{}.{}.{}".format, st.integers(0, 9), st.integers(0, 999), st.integers(0, 999)),
        st.text(max_size=12),
    ),
    max_size=12,
).map(" ".join)


@given(st.sampled_from(Phase), st.integers(0, 999), words, st.booleans())
@example(Phase.RCPT, 550, "5.7.26 no such user", False)
def test_every_reply_has_an_outcome_that_keeps_the_promises(phase: Phase, code: int, text: str, utf8: bool) -> None:
    outcome = judge(phase, code, text, utf8=utf8)
    slows_down(outcome)
    assert (outcome.verdict is Verdict.ACCEPTED) == (phase is Phase.DOT and 200 <= code < 300)
    assert (outcome.failure is None) == (outcome.verdict is Verdict.ACCEPTED)
    if outcome.verdict is Verdict.REFUSED:  # the only one that is held against a reader
        assert phase in NAMED
        assert code >= 500
        assert outcome.failure not in OUR_FAULT
    if outcome.verdict is Verdict.OURS:
        assert phase not in NAMED
    if outcome.verdict is Verdict.UNKNOWN:
        assert phase is Phase.DOT
    if 400 <= code < 500:
        assert outcome.verdict is Verdict.TEMPORARY
    assert len(outcome.text) <= 300


@given(st.sampled_from(sorted((*range(23, 33), 40, 515, 509, 9, 28, 606, 649))), words)
def test_no_word_makes_our_fault_a_readers(detail: int, text: str) -> None:
    assert judge(Phase.DOT, 550, f"5.7.{detail} {text}").verdict in (Verdict.BLOCKED, Verdict.UNSENDABLE)


def test_the_relays_words_are_kept_short_and_without_addresses() -> None:
    text = judge(Phase.RCPT, 550, "5.1.1 <anna@example.org>\nno such\tuser " + "x" * 1000).text
    assert "anna" not in text
    assert "\n" not in text
    assert len(text) <= 300
    assert "anna" not in shorten("x " * 495 + "anna.the.reader@example.org")


@given(st.text(max_size=400))
def test_what_is_kept_is_one_line_that_databases_and_terminals_take(text: str) -> None:
    kept = shorten(text)
    assert len(kept) <= 300
    assert not re.search("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]", kept)
    assert kept == kept.strip()


def test_an_endless_reply_costs_nothing() -> None:
    """A megabyte without an end of word would keep a regular expression busy for hours."""
    assert judge(Phase.DOT, 550, "a" * 1_000_000 + "@").verdict is Verdict.BLOCKED


DEAD = {"userunknown", "hostunknown", "hasmoved"}
OURS = {"authfailure", "badreputation", "notcompliantrfc", "norelaying", "requireptr", "spamdetected", "toomanyconn"}


def quoted_replies() -> Iterator[tuple[str, str, int, str]]:
    """File, label, code and text of the replies that bounces of one recipient quote."""
    with (CORPUS / "labels.tsv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    files = [row["file"] for row in rows]
    for row in rows:
        if files.count(row["file"]) > 1:
            continue
        report = email.message_from_bytes((CORPUS / "sisimai" / row["file"]).read_bytes())
        for part in report.walk():
            quoted = re.search(r"smtp\s*;\s*([45]\d\d)[ -](.*)", " ".join(str(part["Diagnostic-Code"]).split()))
            if quoted:
                yield row["file"], row["reason"], int(quoted[1]), quoted[2]


@pytest.mark.corpus
def test_replies_that_others_collected_are_judged_on_the_right_side() -> None:
    if not CORPUS.exists():
        pytest.skip("the reference data is not beside the checkout")
    judged = [(name, label, judge(Phase.RCPT, code, text)) for name, label, code, text in quoted_replies()]
    assert len(judged) > 80 or not nothing_may_be_skipped()
    blamed_us = [name for name, label, outcome in judged if label in DEAD and outcome.verdict is Verdict.BLOCKED]
    blamed_them = [name for name, label, outcome in judged if label in OURS and outcome.verdict is Verdict.REFUSED]
    assert (blamed_us, blamed_them) == ([], [])
