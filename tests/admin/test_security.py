"""Nobody but an operator gets in, no other site can act in their name, and looking changes nothing."""

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event
from werkzeug.routing import Rule

from newsletter.foundation.db import db
from tests.admin.browsing import SITE, Browser

UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}


def rules(app: Flask, methods: set[str]) -> Iterator[tuple[Rule, str]]:
    """Every operators' page that answers to one of `methods`, with a path that leads there."""
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("admin.") and (rule.methods or set()) & methods:
            yield rule, app.url_map.bind("").build(rule.endpoint, dict.fromkeys(rule.arguments, 1))


def test_everything_unsafe_is_refused_without_a_csrf_token(place: Flask, ada: Browser) -> None:
    tried = [
        (rule.endpoint, ada.client.post(path, base_url=SITE, headers={"Referer": f"{SITE}/admin/"}).status_code)
        for rule, path in rules(place, UNSAFE)
    ]
    assert len(tried) > 20
    assert {status for _, status in tried} == {400}, tried


def test_everything_unsafe_leads_a_stranger_to_the_sign_in_page(place: Flask, stranger: Browser) -> None:
    stranger.open("/admin/sign-in")
    for rule, path in rules(place, UNSAFE):
        if rule.endpoint != "admin.start_session":
            answer = stranger.press(path)
            assert (answer.status_code, answer.location) == (303, "/admin/sign-in"), rule.endpoint


def test_every_page_leads_a_stranger_to_the_sign_in_page_and_back(place: Flask, stranger: Browser) -> None:
    for rule, path in rules(place, {"GET"}):
        if rule.endpoint != "admin.sign_in":
            answer = stranger.client.get(path, base_url=SITE)
            assert answer.status_code == 303, rule.endpoint
            assert answer.location.startswith("/admin/sign-in?next=/admin"), rule.endpoint


def test_no_page_does_anything_when_it_is_only_looked_at(place: Flask, ada: Browser) -> None:
    written: list[str] = []

    def remember(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.lstrip("( \n").upper().startswith(("SELECT", "WITH", "PRAGMA", "BEGIN", "EXPLAIN")):
            written.append(statement)

    event.listen(db.engine, "before_cursor_execute", remember)
    for _, path in rules(place, {"GET"}):
        ada.client.get(path, base_url=SITE)
        ada.client.head(path, base_url=SITE)
    assert written == []


def test_a_token_of_another_browser_is_refused(place: Flask, ada: Browser, stranger: Browser) -> None:
    stranger.open("/admin/sign-in")
    ada.token = stranger.token
    assert ada.press("/admin/sign-out").status_code == 400


@pytest.mark.parametrize(
    ("site", "status"), [("cross-site", 403), ("same-site", 403), ("same-origin", 303), ("none", 303)]
)
def test_a_form_on_another_site_is_refused_even_with_a_token(ada: Browser, site: str, status: int) -> None:
    answer = ada.client.post(
        "/admin/sign-out",
        base_url=SITE,
        headers={"Referer": f"{SITE}/admin/", "Sec-Fetch-Site": site},
        data={"csrf_token": ada.token},
    )
    assert answer.status_code == status


def test_every_answer_tells_the_browser_to_trust_nothing_else(place: Flask, ada: Browser) -> None:
    for path in ("/admin/", "/admin/runs/999", "/admin/account"):
        headers = ada.client.get(path, base_url=SITE).headers
        policy = headers["Content-Security-Policy"]
        for word in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'self'"):
            assert word in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Strict-Transport-Security"].startswith("max-age=")


def test_the_cookie_cannot_be_read_by_scripts_or_sent_over_http(stranger: Browser) -> None:
    cookie = stranger.client.get("/admin/sign-in", base_url=SITE).headers["Set-Cookie"]
    for word in ("__Host-", "Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert word in cookie


def test_a_foreign_host_is_refused(client: FlaskClient) -> None:
    assert client.get("/admin/sign-in", base_url="https://evil.example").status_code == 400


def test_a_zero_byte_is_refused(ada: Browser) -> None:
    assert ada.press("/admin/categories", name="a\0b").status_code == 400
    assert ada.client.get("/admin/runs?before=%00", base_url=SITE).status_code == 400


def test_what_does_not_exist_is_explained_in_the_same_frame(ada: Browser) -> None:
    page = ada.open("/admin/runs/999", status=404)
    assert "There is no such run." in page
    assert "Sign out ada" in page


def test_before_init_there_is_one_plain_sentence(app: Flask) -> None:
    answer = app.test_client().get("/admin/", base_url=SITE)
    assert answer.status_code == 503
    assert "newsletter init" in answer.get_data(as_text=True)
