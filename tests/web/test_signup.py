"""The sign-up form: what it keeps, what it refuses, and that its answer tells nothing."""

import html
import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from newsletter.audience import suppression
from newsletter.audience.models import SignupRequest, SuppressionReason
from newsletter.content.models import Category
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.languages import LANGUAGES
from newsletter.foundation.services import services
from newsletter.foundation.tokens import Purpose
from newsletter.web import pace
from tests.web.site import Site, everything, field


def stored() -> list[SignupRequest]:
    db.session().commit()
    return list(db.session().scalars(select(SignupRequest).order_by(SignupRequest.id)))


def test_a_filled_in_form_stores_one_row_and_leads_on(site_on_each: Site) -> None:
    site = site_on_each
    form = site.form()
    form["affiliates"] = str(site.text_id("affiliate:acme"))
    answer = site.app.test_client().post("/subscribe", data=form)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/subscribe/received?language=en")
    (row,) = stored()
    assert row.address == "ada@reader.example.org"
    assert row.category_ids == [site.category["business"], site.category["world"]]
    assert row.cadence_id == site.cadence["daily"]
    assert row.timezone == "Europe/Berlin", "the publication's, unless chosen"
    assert row.consent_text_ids == sorted([site.text_id("newsletter"), site.text_id("affiliate:acme")])
    assert (row.form, row.page, row.ip, row.user_agent) == ("signup", "https://news.example.org/subscribe", "", "")
    assert row.processed_at is None


def test_without_ticking_the_affiliates_box_nothing_is_agreed_with_them(site: Site, visitor: FlaskClient) -> None:
    visitor.post("/subscribe", data=site.form())
    assert stored()[0].consent_text_ids == [site.text_id("newsletter")]


def test_no_box_is_ticked_by_us(site: Site, visitor: FlaskClient) -> None:
    page = visitor.get("/subscribe").text
    assert "Acme Tours" in page
    assert not re.search(r"<input[^>]*checked", page)


@pytest.mark.parametrize(
    ("changed", "where", "words"),
    [
        ({"address": ""}, "address", "Please type your e-mail address"),
        ({"address": "ada at example"}, "address", "has an @ in it"),
        ({"categories": None}, "categories", "at least one category"),
        ({"categories": ["business", "sports"]}, "categories", "from what is offered"),
        ({"cadence": None}, "cadence", "how often"),
        ({"cadence": "hourly"}, "cadence", "how often"),
        ({"consent": None}, "consent", "tick the box"),
        ({"consent": "yes"}, "consent", "tick the box"),
        ({"consent": "999999"}, "consent", "tick the box"),
        ({"name": "x" * 121}, "name", "at most 120"),
        ({"timezone": "Mars/Olympus"}, "timezone", "from the list"),
        ({"language": "tlh"}, "language", "from the list"),
    ],
)
def test_what_is_missing_is_said_beside_its_field_and_the_rest_is_kept(
    site: Site, visitor: FlaskClient, changed: dict[str, Any], where: str, words: str
) -> None:
    answer = visitor.post("/subscribe", data=site.form(**changed))
    assert answer.status_code == 422
    assert f'<a href="#{where}">' in answer.text
    beside = re.search(rf'id="{where}-problem".*?</p>', answer.text, re.DOTALL)
    assert beside
    assert words in html.unescape(beside[0])
    if where != "address":
        assert 'value="ada@reader.example.org"' in answer.text
    if where != "categories":
        assert re.search(r'value="business" checked', answer.text)
    if where != "consent":
        assert re.search(r'name="consent" value="\d+" checked', answer.text)
    assert stored() == []


def test_consent_to_an_affiliate_alone_is_none_to_the_newsletter(site: Site, visitor: FlaskClient) -> None:
    form = site.form()
    form["consent"] = str(site.text_id("affiliate:acme"))
    assert visitor.post("/subscribe", data=form).status_code == 422


def test_a_mistyped_domain_is_asked_about_once(site: Site, visitor: FlaskClient) -> None:
    answer = visitor.post("/subscribe", data=site.form(address="ada@gmial.com"))
    assert answer.status_code == 422
    assert "ada@gmail.com" in answer.text
    again = site.form(address="ada@gmial.com", suggested_for=field(answer.text, "suggested_for"))
    assert visitor.post("/subscribe", data=again).status_code == 303
    assert [row.address for row in stored()] == ["ada@gmial.com"]


def test_the_trap_catches_without_a_word(site: Site, visitor: FlaskClient) -> None:
    caught = visitor.post("/subscribe", data=site.form(website="https://pills.example"))
    passed = visitor.post("/subscribe", data=site.form())
    assert (caught.status_code, caught.data, caught.headers["Location"]) == (
        passed.status_code,
        passed.data,
        passed.headers["Location"],
    )
    assert len(stored()) == 1


def test_a_form_that_comes_back_too_fast_or_unsigned_is_shown_again_with_all_that_was_typed(
    site: Site, visitor: FlaskClient
) -> None:
    tokens = services().tokens
    seconds = int(utc_now().timestamp())
    for token in (
        "",
        "nonsense",
        tokens.make(Purpose.SIGNUP_FORM, seconds),
        tokens.make(Purpose.CONFIRM, seconds - 60),
    ):
        answer = visitor.post("/subscribe", data=site.form(form_token=token))
        assert answer.status_code == 422
        assert "Please press the button again" in answer.text
        assert 'value="ada@reader.example.org"' in answer.text
        assert re.search(r'name="consent" value="\d+" checked', answer.text)
    assert stored() == []


def test_a_form_on_another_site_needs_no_token_and_names_its_page(site: Site, visitor: FlaskClient) -> None:
    form = site.form(form="embed", form_token=None, name=None, timezone=None)
    page = "https://gazette.example.org/politics"
    headers = {"Origin": "https://gazette.example.org", "Referer": page, "Sec-Fetch-Site": "cross-site"}
    assert visitor.post("/subscribe", data=form, headers=headers).status_code == 303
    (row,) = stored()
    assert (row.form, row.page) == ("embed", page)


def test_a_mistake_on_another_site_leads_to_our_form_with_the_words(site: Site, visitor: FlaskClient) -> None:
    form = site.form(form="embed", form_token=None, consent=None)
    answer = visitor.post("/subscribe", data=form)
    assert answer.status_code == 422
    assert "I want The Gazette to send me" in answer.text
    assert field(answer.text, "form_token")


def test_the_form_to_embed_works_as_it_is_shown(site: Site, visitor: FlaskClient) -> None:
    page = visitor.get("/subscribe/embed?language=de").text
    copied = html.unescape(re.search(r"<textarea[^>]*>(.*?)</textarea>", page, re.DOTALL)[1])  # type: ignore[index]  # a failed search fails the test
    assert 'action="https://news.example.org/subscribe"' in copied
    assert "<script" not in copied
    assert "checked" not in copied
    fields = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', copied))
    fields |= {"address": "ada@reader.example.org", "website": "", "cadence": "weekly", "categories": "world"}
    fields["consent"] = field(copied, "consent")
    assert visitor.post("/subscribe", data=fields).status_code == 303
    assert [(row.form, row.language) for row in stored()] == [("embed", "de")]


HOSTILE: dict[str, Any] = {
    "address with a NUL": {"address": "ada\0@reader.example.org"},
    "address with a line break": {"address": "ada@reader.example.org\r\nBcc: eve@example.org"},
    "a megabyte of address": {"address": "a" * 400_000 + "@example.org"},
    "name with NULs and markup": {"name": "\0\x1b<script>alert(1)</script>\u202e"},
    "repeated fields": {"address": ["ada@reader.example.org", "eve@example.org"], "cadence": ["daily", "weekly"]},
    "ids beyond 64 bits": {"consent": "9" * 40, "affiliates": ["9" * 40, "-1", "1e3", "٣"]},
    "a thousand categories": {"categories": [f"c{number}" for number in range(900)]},
    "an invented language": {"language": "../../etc/passwd"},
    "a zone that is a path": {"timezone": "../../../etc/passwd"},
    "lone surrogates": {"name": b"\xed\xa0\x80\xff"},
}


def test_hostile_fields_never_break_the_page(site_on_each: Site) -> None:
    visitor = site_on_each.app.test_client()
    for case, fields in HOSTILE.items():
        answer = visitor.post("/subscribe", data=site_on_each.form(**fields))
        assert answer.status_code in (303, 422), case
        assert "<script>alert" not in answer.text, case
    rows = stored()
    assert {row.address for row in rows} == {"ada@reader.example.org"}
    assert not any("\0" in row.name or "\x1b" in row.name for row in rows)


def test_a_megabyte_is_refused_in_the_visitors_language(site: Site, visitor: FlaskClient) -> None:
    answer = visitor.post("/subscribe", data=site.form(name="x" * 1_100_000))
    assert answer.status_code == 413
    assert "That was too much" in answer.text
    assert stored() == []


def test_bodies_that_are_no_form_are_an_empty_form(site: Site, visitor: FlaskClient) -> None:
    for kind in ("application/json", "text/plain", "multipart/form-data", "multipart/form-data; boundary=x"):
        answer = visitor.post("/subscribe", data=b'{"address": "ada@reader.example.org"}', content_type=kind)
        assert answer.status_code == 422
    assert stored() == []


def test_the_answer_is_the_same_to_the_byte_whoever_signs_up(site: Site, visitor: FlaskClient) -> None:
    site.reader("confirmed@example.org")
    site.asked("pending@example.org")
    with transaction() as session:
        suppression.suppress(session, services().hasher, "never@example.org", SuppressionReason.OPERATOR, utc_now())
    answers = set()
    addresses = (
        "new@example.org",
        "confirmed@example.org",
        "pending@example.org",
        "never@example.org",
        "a@no-such-domain.example.net",
    )
    for address in addresses:
        answer = visitor.post("/subscribe", data=site.form(address=address))
        page = visitor.get(answer.headers["Location"])
        answers.add((answer.status_code, answer.data, str(answer.headers), page.data, str(page.headers)))
    assert len(answers) == 1
    assert len([row for row in stored() if row.processed_at is None]) == len(addresses)


def test_a_flood_from_one_network_is_slowed_and_keeps_what_was_typed(site: Site, visitor: FlaskClient) -> None:
    form, spread = site.form(), [{"REMOTE_ADDR": f"203.0.113.{last}"} for last in range(pace.LIMIT)]
    assert {visitor.post("/subscribe", data=form, environ_overrides=one).status_code for one in spread} == {303}
    answer = visitor.post("/subscribe", data=form, environ_overrides=spread[0])
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "600"
    assert 'value="ada@reader.example.org"' in answer.text
    other = visitor.post("/subscribe", data=form, environ_overrides={"REMOTE_ADDR": "198.51.100.7"})
    assert other.status_code == 303


def test_a_forwarded_address_is_not_believed_without_a_named_proxy(site: Site, visitor: FlaskClient) -> None:
    form = site.form()
    for number in range(pace.LIMIT + 1):
        answer = visitor.post(
            "/subscribe",
            data=form,
            headers={"X-Forwarded-For": f"192.0.2.{number}"},
            environ_overrides={"REMOTE_ADDR": "203.0.113.9"},
        )
    assert answer.status_code == 429


def test_this_machine_itself_is_not_one_visitor(site: Site, visitor: FlaskClient) -> None:
    form = site.form()
    assert {visitor.post("/subscribe", data=form).status_code for _ in range(pace.LIMIT + 1)} == {303}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_form_speaks_the_visitors_language(site: Site, visitor: FlaskClient, language: str) -> None:
    page = visitor.get("/subscribe", headers={"Accept-Language": f"{language}-XX, en;q=0.1"}).text
    assert f'<html class="newspaper" lang="{language}"' in page
    assert ('dir="rtl"' in page) == (language == "ar")
    assert f'<option value="{language}" selected>' in page


def test_with_nothing_to_choose_the_form_says_that_it_comes_back(site: Site, visitor: FlaskClient) -> None:
    with transaction() as session:
        for category in session.scalars(select(Category)):
            category.archived_at = utc_now()
    assert visitor.get("/subscribe").status_code == 503


def test_looking_at_the_form_again_stores_nothing(site: Site, visitor: FlaskClient) -> None:
    visitor.get("/subscribe")
    before = everything()
    for path in ("/subscribe", "/subscribe/embed", "/subscribe/received", "/", "/brand.css", "/robots.txt"):
        visitor.get(path)
        visitor.head(path)
    assert everything() == before
    assert db.session().scalar(select(func.count()).select_from(SignupRequest)) == 0
