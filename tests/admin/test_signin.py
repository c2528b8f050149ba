"""Signing in, out, and out of everywhere."""

import pytest
from flask import Flask

from newsletter.foundation.db import db, transaction
from newsletter.operators import accounts
from newsletter.operators.models import OperatorSession, SigninThrottle
from tests.admin.browsing import SITE, Browser
from tests.admin.conftest import PASSWORD


def cookie(browser: Browser) -> str:
    found = browser.client.get_cookie("__Host-newsletter", domain="news.example.org")
    assert found is not None
    return found.value


def test_the_right_password_opens_the_first_page(ada: Browser) -> None:
    assert "Sign out ada" in ada.open("/admin/")


def test_a_wrong_password_keeps_the_login_and_not_the_password(stranger: Browser) -> None:
    answer = stranger.sign_in("ada", "a wrong row of words")
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert "do not go together" in page
    assert 'value="ada"' in page
    assert "wrong row" not in page


def test_whoever_guesses_is_told_to_wait(stranger: Browser) -> None:
    answers = [stranger.sign_in("ada", f"guess number {n} of many") for n in range(8)]
    assert [answer.status_code for answer in answers][:5] == [422] * 5
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert stranger.sign_in("ada", PASSWORD).status_code == 429


def test_signing_in_changes_the_session_and_the_token(place: Flask, stranger: Browser) -> None:
    stranger.open("/admin/sign-in")
    before, token = cookie(stranger), stranger.token
    stranger.sign_in("ada", PASSWORD)
    assert cookie(stranger) != before
    assert stranger.token != token
    stranger.token = token
    assert stranger.press("/admin/sign-out").status_code == 400


def test_a_cookie_from_before_signing_out_opens_nothing(ada: Browser) -> None:
    held = cookie(ada)
    assert ada.press("/admin/sign-out").status_code == 303
    ada.client.set_cookie("__Host-newsletter", held, domain="news.example.org", secure=True)
    assert ada.client.get("/admin/", base_url=SITE).status_code == 303


def test_signing_in_again_ends_the_session_before(place: Flask, ada: Browser) -> None:
    ada.open("/admin/account")
    ada.press("/admin/sign-in", login="ada", password=PASSWORD)
    assert db.session.query(OperatorSession).count() == 1


def test_a_new_password_ends_the_other_browser_with_the_next_request(place: Flask, ada: Browser) -> None:
    other = Browser(place.test_client())
    other.sign_in("ada", PASSWORD)
    assert ada.press("/admin/account/password", old=PASSWORD, new="another row of words").status_code == 303
    assert other.client.get("/admin/", base_url=SITE).status_code == 303
    assert "Your password is changed" in ada.open("/admin/account")


def test_the_old_password_is_asked_for_and_guesses_are_counted(ada: Browser) -> None:
    answer = ada.press("/admin/account/password", old="a wrong row of words", new="another row of words")
    assert answer.status_code == 422
    assert "This is not your password." in answer.get_data(as_text=True)
    assert db.session.query(SigninThrottle).count() == 2


def test_a_weak_new_password_is_refused_beside_its_field(ada: Browser) -> None:
    answer = ada.press("/admin/account/password", old=PASSWORD, new="short")
    assert answer.status_code == 422
    assert 'id="new-problem"' in answer.get_data(as_text=True)


def test_signing_out_everywhere_is_everywhere(place: Flask, ada: Browser) -> None:
    other = Browser(place.test_client())
    other.sign_in("ada", PASSWORD)
    ada.press("/admin/account/sign-out-everywhere")
    assert other.client.get("/admin/", base_url=SITE).status_code == 303
    assert db.session.query(OperatorSession).count() == 0


def test_a_disabled_operator_is_out_at_once(place: Flask, ada: Browser) -> None:
    with transaction() as session:
        accounts.disable(session, accounts.named(session, "ada"), accounts.named(session, "ada").created_at)
    assert ada.client.get("/admin/", base_url=SITE).status_code == 303


@pytest.mark.parametrize(
    ("asked", "leads"),
    [
        ("/admin/runs", "/admin/runs"),
        ("/admin/digests/1", "/admin/digests/1"),
        ("https://evil.example/admin/", "/admin/"),
        ("//evil.example", "/admin/"),
        ("/admin/../../evil", "/admin/"),
        ("/admin\\@evil.example", "/admin/"),
        ("/admin/runs\n", "/admin/"),
        ("/adminevil", "/admin/"),
    ],
)
def test_signing_in_leads_on_to_the_page_that_was_asked_for_and_nowhere_else(
    stranger: Browser, asked: str, leads: str
) -> None:
    stranger.open("/admin/sign-in")
    answer = stranger.press("/admin/sign-in", login="ada", password=PASSWORD, next=asked)
    assert answer.location == leads
