"""How long a browser stays signed in."""

import datetime

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.foundation.db import transaction
from newsletter.operators import accounts, sessions
from newsletter.operators.models import Operator, OperatorSession
from tests.conftest import NOW

HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def ada(session: Session) -> Operator:
    with transaction():
        return accounts.add(session, "ada", "four plain words together", NOW)


def test_the_database_does_not_hold_what_the_browser_holds(session: Session, ada: Operator) -> None:
    with transaction():
        token = sessions.start(session, ada, NOW, user_agent="Browser/1")
    stored = session.scalars(select(OperatorSession)).one()
    assert token not in (stored.token_hash, stored.user_agent)
    assert sessions.find(session, stored.token_hash, NOW) is None


def test_each_session_has_a_token_of_its_own(session: Session, ada: Operator) -> None:
    with transaction():
        assert sessions.start(session, ada, NOW) != sessions.start(session, ada, NOW)


def test_twelve_hours_without_a_sign_of_life_end_it(session: Session, ada: Operator) -> None:
    with transaction():
        token = sessions.start(session, ada, NOW)
    assert sessions.find(session, token, NOW + 12 * HOUR - datetime.timedelta(seconds=1))
    assert not sessions.find(session, token, NOW + 12 * HOUR)


def test_seven_days_end_it_however_busy(session: Session, ada: Operator) -> None:
    with transaction():
        token = sessions.start(session, ada, NOW)
    signed_in = sessions.find(session, token, NOW)
    assert signed_in
    with transaction():
        signed_in.seen_at = NOW + 7 * 24 * HOUR
    assert not sessions.find(session, token, NOW + 7 * 24 * HOUR)


def test_a_page_is_noted_once_a_minute(session: Session, ada: Operator) -> None:
    with transaction():
        token = sessions.start(session, ada, NOW)
    signed_in = sessions.find(session, token, NOW)
    assert signed_in
    assert not sessions.unseen(signed_in, NOW + datetime.timedelta(seconds=59))
    assert sessions.unseen(signed_in, NOW + datetime.timedelta(seconds=60))


def test_signing_out_leaves_the_other_browser_alone(session: Session, ada: Operator) -> None:
    with transaction():
        here, there = sessions.start(session, ada, NOW), sessions.start(session, ada, NOW)
    with transaction():
        sessions.end(session, here)
    assert not sessions.find(session, here, NOW)
    assert sessions.find(session, there, NOW)
    assert len(sessions.of(session, ada, NOW)) == 1


def test_what_is_over_is_forgotten_and_nothing_else(session: Session, ada: Operator) -> None:
    with transaction():
        sessions.start(session, ada, NOW - 13 * HOUR)
        living = sessions.start(session, ada, NOW)
    with transaction():
        sessions.forget(session, NOW)
    assert session.scalars(select(OperatorSession)).one() is sessions.find(session, living, NOW)
