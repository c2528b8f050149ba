"""Which reply says something about the reader, which about us, and which about nothing but the moment."""

import pytest

from newsletter.delivery.replies import Phase, Verdict, judge, lost


@pytest.mark.parametrize(
    ("phase", "code", "text", "verdict"),
    [
        (Phase.DOT, 250, "2.0.0 queued", Verdict.ACCEPTED),
        (Phase.RCPT, 550, "5.1.1 user unknown", Verdict.REFUSED),
        (Phase.RCPT, 550, "no such user here", Verdict.REFUSED),
        (Phase.RCPT, 452, "4.2.2 over quota", Verdict.TEMPORARY),
        (Phase.DOT, 552, "5.2.2 mailbox full", Verdict.REFUSED),
        (Phase.MAIL, 550, "5.1.8 sender rejected", Verdict.OURS),
        (Phase.AUTH, 535, "5.7.8 bad credentials", Verdict.OURS),
        (Phase.DOT, 550, "5.7.26 not authenticated", Verdict.OURS),
        (Phase.DOT, 550, "5.7.515 access denied", Verdict.OURS),
        (Phase.DOT, 550, "5.7.1 our system has detected unsolicited mail", Verdict.OURS),
        (Phase.RCPT, 550, "5.7.1 relaying for this user is closed", Verdict.REFUSED),
        (Phase.DOT, 421, "4.7.28 too many", Verdict.TEMPORARY),
        (Phase.DOT, 554, "5.6.0 malformed", Verdict.UNSENDABLE),
        (Phase.DOT, 552, "5.3.4 headers too large", Verdict.UNSENDABLE),
        (Phase.RCPT, 550, "5.6.7 SMTPUTF8 required", Verdict.UNSENDABLE),
    ],
)
def test_a_reply_is_judged_by_phase_code_and_words(phase: Phase, code: int, text: str, verdict: Verdict) -> None:
    assert judge(phase, code, text).verdict is verdict


@pytest.mark.parametrize("phase", Phase)
def test_silence_is_unknown_only_after_the_dot(phase: Phase) -> None:
    assert lost(phase, "gone").verdict is (Verdict.UNKNOWN if phase is Phase.DOT else Verdict.UNSENT)


def test_the_relays_words_are_kept_short_and_without_addresses() -> None:
    text = judge(Phase.RCPT, 550, "5.1.1 <anna@example.org>\nno such\tuser " + "x" * 1000).text
    assert "anna" not in text
    assert "\n" not in text
    assert len(text) <= 300
