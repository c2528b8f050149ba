"""Who guesses waits; who knows the password does not."""

import datetime
from concurrent.futures import ThreadPoolExecutor

import pytest
from argon2 import PasswordHasher
from flask import Flask
from sqlalchemy import select

from newsletter.foundation.db import db, transaction
from newsletter.foundation.errors import InvalidError
from newsletter.foundation.services import services
from newsletter.operators import accounts, passwords, signin
from newsletter.operators.models import Operator, SigninThrottle
from tests.conftest import NOW

GOOD = "four plain words together"
SECOND = datetime.timedelta(seconds=1)


@pytest.fixture
def ada(app_on_each: Flask) -> Operator:
    with transaction() as session:
        return accounts.add(session, "ada", GOOD, NOW)


def admit(login: str = "ada", ip: str = "198.51.100.7", now: datetime.datetime = NOW) -> signin.Try:
    with transaction() as session:
        return signin.admit(session, services().hasher, login, ip, now)


def sign_in(password: str, login: str = "ada", ip: str = "198.51.100.7", now: datetime.datetime = NOW) -> Operator:
    tried = admit(login, ip, now)
    operator = signin.check(db.session(), tried, password)
    with transaction() as session:
        signin.passed(session, tried, operator, password, now)
    return operator


def test_the_right_password_signs_in(ada: Operator) -> None:
    assert sign_in(GOOD, login=" ADA ") is ada


@pytest.mark.parametrize("login", ["ada", "nobody"])
def test_of_hundreds_of_guesses_in_a_minute_few_are_looked_at(ada: Operator, login: str) -> None:
    looked_at = 0
    for guess in range(300):
        try:
            tried = admit(login, f"198.51.100.{guess % 250}", NOW + guess * 60 * SECOND / 300)
        except signin.TooManyTriesError:
            continue
        looked_at += 1
        assert tried.login == login
    assert 5 <= looked_at <= 20


def test_one_network_that_tries_many_logins_waits_too(ada: Operator) -> None:
    for guess in range(signin.FREE_FOR_NETWORK):
        admit(f"person-{guess}")
    with pytest.raises(signin.TooManyTriesError):
        admit("one-more")
    admit("one-more", "203.0.113.9")


def test_a_network_of_ipv6_is_counted_by_its_64(ada: Operator) -> None:
    for guess in range(signin.FREE_FOR_NETWORK):
        admit(f"person-{guess}", f"2001:db8:1:2::{guess:x}")
    with pytest.raises(signin.TooManyTriesError):
        admit("one-more", "2001:db8:1:2:ffff::1")
    admit("one-more", "2001:db8:1:3::1")


def test_guesses_at_the_same_moment_are_all_counted(app_on_each: Flask, ada: Operator) -> None:
    def guess(_: int) -> bool:
        with app_on_each.app_context():
            try:
                admit()
            except signin.TooManyTriesError:
                return False
            finally:
                db.session.remove()
            return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(guess, range(24))) == signin.FREE_FOR_LOGIN


def test_the_wait_doubles_up_to_a_quarter_of_an_hour() -> None:
    waits = [signin.wait_after(failures, 5).total_seconds() for failures in range(1, 30)]
    assert waits[:8] == [0, 0, 0, 0, 1, 2, 4, 8]
    assert max(waits) == waits[-1] == 15 * 60


def test_waiting_is_answered_with_how_long_and_does_not_make_it_longer(ada: Operator) -> None:
    for _ in range(5):
        admit()
    for _ in range(10):
        with pytest.raises(signin.TooManyTriesError, match="1 minute") as refused:
            admit()
        assert refused.value.wait == SECOND
    admit(now=NOW + SECOND)


def test_success_takes_the_tries_back(ada: Operator) -> None:
    for _ in range(4):
        with pytest.raises(InvalidError):
            sign_in("a wrong row of words")
    for _ in range(signin.FREE_FOR_NETWORK):
        sign_in(GOOD)
    network = db.session.scalars(select(SigninThrottle)).one()
    assert network.failures == 4


def test_tries_are_forgotten_after_a_day(ada: Operator) -> None:
    for _ in range(5):
        admit()
    tomorrow = NOW + datetime.timedelta(days=1, seconds=1)
    for _ in range(5):
        admit(now=tomorrow)
    with transaction() as session:
        signin.forget(session, tomorrow + datetime.timedelta(days=2))
    assert not db.session.scalars(select(SigninThrottle)).all()


def test_unknown_wrong_and_disabled_are_told_the_same(ada: Operator) -> None:
    with transaction() as session:
        closed = accounts.add(session, "closed", GOOD, NOW)
        accounts.disable(session, closed, NOW)
    told = set()
    for login, password in (("nobody", GOOD), ("ada", "a wrong row of words"), ("closed", GOOD)):
        with pytest.raises(InvalidError) as refused:
            sign_in(password, login=login)
        told.add(str(refused.value))
    assert len(told) == 1


def test_an_unknown_login_costs_a_comparison_as_well(ada: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str | None] = []

    def remember(stored: str | None, password: str) -> bool:
        compared.append(stored)
        return False

    monkeypatch.setattr(passwords, "matches", remember)
    with pytest.raises(InvalidError):
        sign_in(GOOD, login="nobody")
    assert compared == [None]


def test_a_hash_of_older_rules_is_made_anew_at_sign_in(ada: Operator) -> None:
    with transaction():
        ada.password_hash = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(GOOD)
    sign_in(GOOD)
    assert ada.password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_neither_login_nor_network_is_kept_in_clear(ada: Operator) -> None:
    admit("grace.hopper", "203.0.113.77")
    kept = [counter.key_hash for counter in db.session.scalars(select(SigninThrottle))]
    assert len(kept) == 2
    assert all(len(key) == 32 and set(key) <= set("0123456789abcdef") for key in kept)
