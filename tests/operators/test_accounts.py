"""Accounts and their passwords."""

import pytest
from sqlalchemy.orm import Session

from newsletter.foundation.db import transaction
from newsletter.foundation.errors import ConflictError, InvalidError, NotFoundError
from newsletter.operators import accounts, passwords, sessions
from tests.conftest import NOW

GOOD = "four plain words together"


def test_a_login_is_the_same_in_capitals_and_with_spaces_around(session: Session) -> None:
    with transaction():
        accounts.add(session, " Ada ", GOOD, NOW)
    assert accounts.named(session, "ADA").login == "ada"


def test_a_taken_login_is_refused(session: Session) -> None:
    with transaction():
        accounts.add(session, "ada", GOOD, NOW)
    with pytest.raises(ConflictError, match="operators password"), transaction():
        accounts.add(session, "Ada", GOOD, NOW)
    assert len(accounts.everyone(session)) == 1


@pytest.mark.parametrize("login", ["", "   ", "a\nb", "x" * 121, "a\x00b"])
def test_a_login_that_cannot_be_read_is_refused(session: Session, login: str) -> None:
    with pytest.raises(InvalidError), transaction():
        accounts.add(session, login, GOOD, NOW)


@pytest.mark.parametrize("password", ["", "elevenchars", "aaaaaaaaaaaaaaaa", "ada.lovelace@example.org", "x" * 201])
def test_a_weak_password_is_refused_with_the_reason(session: Session, password: str) -> None:
    with pytest.raises(InvalidError, match="password"), transaction():
        accounts.add(session, "ada.lovelace@example.org", password, NOW)


def test_nobody_has_the_password_of_nobody() -> None:
    assert not passwords.matches(None, "the password of nobody: compared where there is no such operator")


def test_a_password_is_stored_as_argon2id_in_the_profile_we_chose() -> None:
    stored = passwords.hashed(GOOD, "ada")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.matches(stored, GOOD)
    assert not passwords.matches(stored, GOOD + " ")
    assert not passwords.outdated(stored)


def test_an_unreadable_hash_matches_nothing() -> None:
    assert not passwords.matches("not a hash", GOOD)


def test_an_operator_who_does_not_exist_is_named_in_the_error(session: Session) -> None:
    with pytest.raises(NotFoundError, match="nobody"):
        accounts.named(session, "nobody")


def test_a_new_password_ends_every_other_session_of_that_operator_only(session: Session) -> None:
    with transaction():
        ada = accounts.add(session, "ada", GOOD, NOW)
        grace = accounts.add(session, "grace", GOOD, NOW)
        here, elsewhere, hers = (sessions.start(session, person, NOW) for person in (ada, ada, grace))
    with transaction():
        accounts.change_password(session, ada, "another row of words", keep=here)
    assert sessions.find(session, here, NOW)
    assert sessions.find(session, hers, NOW)
    assert not sessions.find(session, elsewhere, NOW)


def test_a_disabled_operator_is_signed_out_and_can_be_enabled_again(session: Session) -> None:
    with transaction():
        ada = accounts.add(session, "ada", GOOD, NOW)
        token = sessions.start(session, ada, NOW)
    with transaction():
        accounts.disable(session, ada, NOW)
    assert not sessions.find(session, token, NOW)
    with transaction():
        accounts.enable(ada)
    assert ada.disabled_at is None
