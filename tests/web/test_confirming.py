"""The pages behind the confirmation mail: shown to everybody who looks, acted on only by the button."""

import datetime

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from newsletter.audience.models import Confirmation, Consent, ConsentAct, Subscriber, Subscription
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.web import frame
from tests.web.site import Site, everything


def later(monkeypatch: pytest.MonkeyPatch, **by: float) -> None:
    """Let the pages' clock run ahead."""
    now = utc_now() + datetime.timedelta(**by)
    monkeypatch.setattr(frame, "utc_now", lambda: now)


def test_the_page_shows_the_words_and_one_button(site: Site, visitor: FlaskClient) -> None:
    form = site.form()
    form["affiliates"] = str(site.text_id("affiliate:acme"))
    page = visitor.get(site.confirm(site.asked(**form))).text
    assert "a•••@r•••.org" in page
    assert "ada@" not in page
    assert "I want The Gazette to send me" in page
    assert "I agree that The Gazette gives my e-mail address to Acme Tours" in page
    assert page.count("<button") == 1
    assert "<script" not in page


def test_the_button_makes_a_reader_and_a_second_press_changes_nothing(site_on_each: Site) -> None:
    site, visitor = site_on_each, site_on_each.app.test_client()
    path = site.confirm(site.asked())
    first = visitor.post(path, data={"act": "confirm"})
    assert first.status_code == 200
    assert "You are in" in first.text
    assert "Business and World" in first.text
    before = everything()
    second = visitor.post(path, data={"act": "confirm"})
    assert "You have confirmed this already" in second.text
    assert "You have confirmed this already" in visitor.get(path).text
    assert everything() == before
    assert {row.act for row in db.session().scalars(select(Consent))} == {ConsentAct.GIVEN, ConsentAct.CONFIRMED}


def test_an_expired_link_offers_a_new_mail_within_the_caps(
    site: Site, visitor: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = site.confirm(site.asked())
    later(monkeypatch, hours=49)
    assert "This link has expired" in visitor.get(path).text
    assert "This link has expired" in visitor.post(path, data={"act": "confirm"}).text
    for _ in range(3):
        assert "A new mail is on its way to" in visitor.post(path, data={"act": "renew"}).text
    db.session().commit()
    assert len(db.session().scalars(select(Confirmation.id)).all()) == 2, "one in 15 minutes"


def test_a_link_that_is_still_good_sends_no_second_mail(site: Site, visitor: FlaskClient) -> None:
    path = site.confirm(site.asked())
    assert "One press, and you are in" in visitor.post(path, data={"act": "renew"}).text
    assert len(db.session().scalars(select(Confirmation.id)).all()) == 1


def test_a_sign_up_that_was_removed_is_gone(site: Site, visitor: FlaskClient) -> None:
    confirmation_id = site.asked()
    with transaction() as session:
        session.delete(session.get_one(Confirmation, confirmation_id))
    for path in (site.confirm(confirmation_id), site.not_me(confirmation_id)):
        for answer in (visitor.get(path), visitor.post(path, data={"act": "confirm"})):
            assert answer.status_code == 410
            assert "Please sign up once more" in answer.text


def test_whoever_did_not_ask_is_never_written_to_again(site_on_each: Site) -> None:
    site, visitor = site_on_each, site_on_each.app.test_client()
    confirmation_id = site.asked()
    assert "Somebody typed a•••@r•••.org" in visitor.get(site.not_me(confirmation_id)).text.replace(
        '<bdi class="literal" dir="ltr">', ""
    ).replace("</bdi>", "")
    for _ in range(2):
        answer = visitor.post(site.not_me(confirmation_id), data={"act": "stop"})
        assert answer.status_code == 200
        assert "We will not write to you again" in answer.text
    for answer in (visitor.get(site.confirm(confirmation_id)), visitor.post(site.confirm(confirmation_id))):
        assert "We will not write to you again" in answer.text
    again = site.asked()
    assert again == confirmation_id, "no further confirmation"
    assert db.session().scalar(select(Subscription.id)) is None


def test_not_me_after_confirming_ends_nothing_and_leads_to_the_preferences(site: Site, visitor: FlaskClient) -> None:
    reader = site.reader()
    confirmation_id = db.session().scalars(select(Confirmation.id)).one()
    answer = visitor.post(site.not_me(confirmation_id))
    assert "/preferences/" in answer.text
    assert site.choices(reader) == {"business": "daily", "world": "daily"}


def test_the_page_speaks_the_language_of_the_sign_up(site: Site, visitor: FlaskClient) -> None:
    site.app.test_client().get("/subscribe?language=de")
    path = site.confirm(site.asked(language="de", consent=str(site.text_id("newsletter", "de"))))
    assert '<html class="newspaper" lang="de"' in visitor.get(path, headers={"Accept-Language": "fr"}).text
    assert '<html class="newspaper" lang="es"' in visitor.get(f"{path}?language=es").text


def test_the_first_mail_is_named_in_the_readers_own_time(site: Site, visitor: FlaskClient) -> None:
    answer = visitor.post(site.confirm(site.asked(timezone="Asia/Tokyo")), data={"act": "confirm"})
    assert "07:00 (Asia/Tokyo)" in answer.text
    assert db.session().scalars(select(Subscriber.timezone)).one() == "Asia/Tokyo"
