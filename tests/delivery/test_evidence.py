"""What comes to light later closes what is unknown, and nothing else."""

import pytest
from flask import Flask
from sqlalchemy import select

from newsletter.delivery import control, evidence, reports
from newsletter.delivery.control import Settlement
from newsletter.delivery.evidence import Evidence
from newsletter.delivery.models import Delivery, DeliveryState, Reason
from newsletter.delivery.replies import Failure
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from tests.delivery import world
from tests.delivery.test_control import ACCEPTED, DEAD, UNREAD, _sent


def _deliveries() -> list[Delivery]:
    db.session.commit()
    query = select(Delivery).order_by(Delivery.id).execution_options(populate_existing=True)
    return list(db.session.scalars(query))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (Evidence.REPLY, "the relay's reply was found later"),
        (Evidence.BOUNCE, "a bounce came back for it"),
        (Evidence.EVENT, "the provider reported on it"),
        (Evidence.ACT, "the reader acted on a link in it"),
    ],
)
def test_evidence_closes_an_unknown_delivery_and_stays_visible(app: Flask, source: Evidence, said: str) -> None:
    _sent([UNREAD])
    (one,) = _deliveries()
    assert evidence.wanted(db.session(), one.id)
    with transaction() as session:
        assert evidence.accepted(session, [one.id], source, utc_now()) == 1
    (one,) = _deliveries()
    assert (one.state, one.unknown_at) == (DeliveryState.ACCEPTED, None)
    assert one.settled_at is not None
    assert said in (one.reply_text or "")
    assert not evidence.wanted(db.session(), one.id)
    assert reports.count_open_unknown(db.session()) == 0


def test_only_what_is_unknown_moves_and_the_sums_balance(app_on_each: Flask) -> None:
    _sent([UNREAD, ACCEPTED, DEAD, UNREAD])
    ids = [one.id for one in _deliveries()]
    for number in (2, 0):
        with transaction() as session:
            assert evidence.accepted(session, [*ids, 10**9], Evidence.EVENT, utc_now()) == number
        assert world.states(db.session()) == {"accepted": 3, "failed": 1}
    with transaction() as session:
        assert evidence.refused(session, ids, Evidence.EVENT, utc_now(), failure=Failure.READER) == 0
    assert _deliveries()[1].reply_text == "ok"


def test_a_refusal_found_later_is_kept_with_its_words_and_can_be_resent(app_on_each: Flask) -> None:
    mailing = _sent([UNREAD, UNREAD])
    first, _ = _deliveries()
    said = "552 5.2.3 too large for <r1@example.org>"
    with transaction() as session:
        assert evidence.refused(
            session, [first.id], Evidence.EVENT, utc_now(), failure=Failure.BUG, code=552, text=said
        )
    first, other = _deliveries()
    assert (first.state, first.reason, first.failure) == (DeliveryState.FAILED, Reason.REFUSED, Failure.BUG)
    assert first.reply_code == 552
    assert "5.2.3 too large" in (first.reply_text or "")
    assert "r1@example.org" not in (first.reply_text or "")
    assert other.state is DeliveryState.UNKNOWN
    with transaction() as session:
        assert control.resend_failed(session, mailing.id, [Failure.BUG], utc_now()) == 1
    assert world.states(db.session()) == {"planned": 1, "unknown": 1}


def test_what_an_operator_left_at_that_is_closed_too_and_what_is_planned_again_is_not(app: Flask) -> None:
    _sent([UNREAD, UNREAD])
    left, again = [one.id for one in _deliveries()]
    with transaction() as session:
        control.settle_unknown(session, [left], Settlement.LEAVE, utc_now())
        control.settle_unknown(session, [again], Settlement.RESEND, utc_now())
        assert evidence.accepted(session, [left, again], Evidence.ACT, utc_now()) == 1
    assert world.states(db.session()) == {"accepted": 1, "planned": 1}
