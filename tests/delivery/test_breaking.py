"""The circuit breaker: when it speaks, when it stays silent, and what it says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.delivery.breaking import REMEMBERED, Breaker, Kind, kind_of
from newsletter.delivery.replies import Failure, Outcome, Phase, Verdict, judge

FINE = Outcome(Verdict.ACCEPTED, 250, "2.0.0 queued")
DMARC = judge(Phase.DOT, 550, "5.7.26 unauthenticated email is not accepted")
SPAM = judge(Phase.DOT, 550, "5.7.1 message blocked as unsolicited mail")
DEAD = judge(Phase.RCPT, 550, "5.1.1 no such user")
BUG = Outcome(Verdict.UNSENDABLE, 554, "5.6.0 malformed", Failure.BUG)
FULL = judge(Phase.RCPT, 452, "4.2.2 mailbox full")
LOST = Outcome(Verdict.UNKNOWN, None, "the connection was lost")
UNSENT = Outcome(Verdict.UNSENT, None, "the connection was lost")
OURS = judge(Phase.MAIL, 530, "5.7.0 authentication required")


def broken_at(outcomes: list[Outcome]) -> int | None:
    """Return after how many outcomes the breaker spoke."""
    breaker = Breaker()
    for place, outcome in enumerate(outcomes, 1):
        if breaker.observe(1, [outcome]):
            return place
    return None


def mixed(bad: Outcome, number: int, total: int) -> list[Outcome]:
    """Spread `number` bad answers over `total`, the last of them bad."""
    places = {round((at + 1) * total / number) - 1 for at in range(number)}
    assert len(places) == number
    return [bad if place in places else FINE for place in range(total)]


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (FINE, Kind.FINE),
        (DMARC, Kind.AUTHENTICATION),
        (judge(Phase.DOT, 421, "4.7.26 unauthenticated, temporarily"), Kind.AUTHENTICATION),
        (SPAM, Kind.REPUTATION),
        (judge(Phase.DOT, 421, "4.7.28 unusual rate of mail"), Kind.FINE),
        (BUG, Kind.BUG),
        (DEAD, Kind.READER),
        (FULL, Kind.FINE),
        (judge(Phase.RCPT, 552, "5.2.2 over quota"), Kind.FINE),
        (LOST, None),
        (UNSENT, None),
        (OURS, None),
        (Outcome(Verdict.UNSENDABLE, None, "the relay cannot take this address"), None),
    ],
)
def test_what_an_answer_says_of_us(outcome: Outcome, kind: Kind | None) -> None:
    assert kind_of(outcome) is kind


@pytest.mark.parametrize(
    ("outcomes", "place"),
    [
        ([FINE] * 50 + [DMARC] * 20, 53),  # the third is more than a twentieth of 53
        ([DMARC] * 2 + [FINE] * 100, None),
        ([DMARC] * 3, 3),
        ([FINE] * 500 + [DMARC] * 20, 511),  # the eleventh of the last 200
        ([SPAM] * 4 + [FINE] * 100, None),
        ([SPAM] * 5, 5),
        ([FINE] * 50 + [SPAM] * 20, 55),
        (mixed(SPAM, 10, 200) * 5, None),  # a twentieth is no more than a twentieth
        ([BUG] * 5, 5),
        ([DEAD] * 29 + [FINE] * 500, None),
        ([DEAD] * 30, 30),
        (mixed(DEAD, 40, 200) * 3, None),  # an old list, not a storm
        ([FINE] * 1000 + [DEAD] * 100, 1041),
        ([FULL] * 500, None),
        ([LOST, UNSENT, OURS] * 200, None),
        ([DMARC, DMARC, *[LOST] * 500, DMARC], 503),
    ],
)
def test_it_speaks_at_the_answer_that_is_one_too_many(outcomes: list[Outcome], place: int | None) -> None:
    assert broken_at(outcomes) == place


def test_it_says_what_was_answered_how_often_and_what_to_look_at() -> None:
    because = Breaker().observe(1, [FINE] * 50 + [DMARC] * 3)
    assert because.startswith(
        "Of the last 53 answers, 3 refused the mail because they cannot tell that it comes from us, "
        "last with “550 5.7.26 unauthenticated email is not accepted”. Check the sender's domain: its SPF"
    )
    assert "block list" in Breaker().observe(1, [SPAM] * 5)
    assert "called dead" in Breaker().observe(1, [DEAD] * 30)
    assert "made as they want it" in Breaker().observe(1, [BUG] * 5)


def test_mailings_are_judged_apart_and_anew_once_it_has_spoken() -> None:
    breaker = Breaker()
    assert breaker.observe(1, [SPAM] * 4) == ""
    assert breaker.observe(2, [SPAM] * 4) == ""
    assert breaker.observe(1, [SPAM]) != ""
    assert breaker.observe(1, [SPAM] * 4) == ""
    breaker.forget(2)
    breaker.forget(3)
    assert breaker.observe(2, [SPAM]) == ""


def test_mailings_long_quiet_are_forgotten() -> None:
    breaker = Breaker()
    breaker.observe(1, [SPAM] * 4)
    for mailing_id in range(2, 100):
        breaker.observe(mailing_id, [FINE])
    assert breaker.observe(1, [SPAM]) == ""


def test_a_relay_is_given_up_only_when_most_of_it_is_blocked() -> None:
    breaker = Breaker()
    assert breaker.observe_relay(1, [FINE, SPAM] * 200) == ""
    assert breaker.observe_relay(2, [SPAM] * 10 + [DMARC] * 9) == ""
    assert "this relay" in breaker.observe_relay(2, [SPAM])
    assert breaker.observe_relay(2, [SPAM] * 19) == ""


@given(st.lists(st.sampled_from([FINE, FULL, DEAD, LOST]), max_size=600))
def test_what_is_about_readers_stops_nothing_below_a_fifth(outcomes: list[Outcome]) -> None:
    place = broken_at(outcomes)
    if place is not None:
        answered = [one for one in outcomes[:place] if one is not LOST][-REMEMBERED:]
        assert answered.count(DEAD) >= 30
        assert answered.count(DEAD) > len(answered) / 5
