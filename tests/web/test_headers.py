"""What every answer says beside its page, to browsers, search engines and other sites; and that looking is harmless."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from newsletter.app import create_app
from newsletter.foundation.languages import LANGUAGES
from newsletter.foundation.links import Link
from newsletter.web import pages
from tests.conftest import make_settings
from tests.web.site import Site, everything

SCANNERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36 Edg/130.0",
    "Mozilla/5.0 (compatible; GoogleImageProxy)",
    "BarracudaCentral/1.0",
    "python-requests/2.32",
    "",
)


@pytest.fixture
def paths(site: Site) -> list[str]:
    waiting = site.asked("new@reader.example.org")
    reader = site.reader()
    mailed = [site.link(link, reader) for link in (Link.ONE_CLICK, Link.LEAVE, Link.PREFERENCES)]
    return [*mailed, site.confirm(waiting), site.not_me(waiting)]


OPEN = ["/subscribe", "/subscribe/embed", "/subscribe/received"]


def test_programs_that_open_every_link_change_nothing(paths: list[str], visitor: FlaskClient) -> None:
    for language in LANGUAGES:
        visitor.get("/subscribe", headers={"Accept-Language": language})
    before = everything()
    for path in [*paths, *OPEN, "/", "/brand.css", "/robots.txt"]:
        for agent in SCANNERS:
            for _ in range(3):
                assert visitor.get(path, headers={"User-Agent": agent}).status_code in (200, 302)
                assert visitor.head(path, headers={"User-Agent": agent}).status_code in (200, 302)
    assert everything() == before


def test_pages_whose_address_is_a_key_tell_it_to_nobody(paths: list[str], visitor: FlaskClient) -> None:
    for path in [*paths, "/leave/nonsense", *OPEN, "/nowhere"]:
        for answer in (visitor.get(path), visitor.head(path), visitor.post(path, data={"act": "nonsense"})):
            headers = answer.headers
            assert headers["Referrer-Policy"] == "no-referrer"
            assert headers["Cache-Control"] == "no-store"
            to_be_found = path == "/subscribe" and answer.status_code == 200
            assert headers["X-Robots-Tag"] == ("all" if to_be_found else "noindex")
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
            assert headers["Strict-Transport-Security"] == "max-age=31536000"
            assert "Set-Cookie" not in headers


def test_pages_load_nothing_from_elsewhere_and_run_nothing(paths: list[str], visitor: FlaskClient) -> None:
    for path in [*paths, *OPEN]:
        page = visitor.get(path).text
        assert not re.search(r"<script|<iframe|<img|\sstyle=|\son\w+=", page)
        loaded = re.findall(r'<link[^>]*href="([^"]*)"', page)
        assert loaded
        assert all(address.startswith(("/", "data:,")) for address in loaded)


def test_every_page_speaks_every_language(paths: list[str], visitor: FlaskClient) -> None:
    for path in [*paths, *OPEN, "/nowhere"]:
        for language in LANGUAGES:
            page = visitor.get(f"{path}?language={language}").text
            assert f'lang="{language}" dir="{"rtl" if language == "ar" else "ltr"}"' in page


def test_static_files_are_guarded_too(site: Site, visitor: FlaskClient) -> None:
    with visitor.get("/static/newsletter.css") as answer:
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] != "no-store"


def test_without_https_nothing_promises_it(app: Flask, tmp_path_factory: pytest.TempPathFactory) -> None:
    plain = create_app(make_settings(tmp_path_factory.mktemp("plain"), public_url="http://127.0.0.1:8000"))
    assert "Strict-Transport-Security" not in plain.test_client().get("/health/live").headers


def test_links_never_follow_the_host_that_a_request_names(paths: list[str], visitor: FlaskClient) -> None:
    for host in ("evil.example", "evil.example:443", "news.example.org.evil.example"):
        assert visitor.get("/subscribe", headers={"Host": host}).status_code == 400
    page = visitor.get(
        "/subscribe/embed", headers={"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    )
    assert "evil" not in page.text
    assert "action=&#34;https://news.example.org/subscribe&#34;" in page.text or (
        'action="https://news.example.org/subscribe"' in page.text
    )


@pytest.mark.parametrize(("status", "path"), [(404, "/nowhere"), (404, "/leave/x"), (405, "/subscribe/received")])
def test_errors_are_pages_in_the_visitors_language(site: Site, visitor: FlaskClient, status: int, path: str) -> None:
    answer = visitor.open(path, method="POST" if status == 405 else "GET", headers={"Accept-Language": "de"})
    assert answer.status_code == status
    assert '<html class="newspaper" lang="de"' in answer.text
    assert f"{status}" in answer.text
    if status == 405:
        assert "GET" in answer.headers["Allow"]


def test_a_failure_of_ours_is_said_without_a_word_about_it(
    site: Site, visitor: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("secret detail")

    site.app.config["PROPAGATE_EXCEPTIONS"] = False
    monkeypatch.setitem(site.app.view_functions, "web.received", fail)
    answer = visitor.get("/subscribe/received")
    assert answer.status_code == 500
    assert "Something went wrong on our side" in answer.text
    assert "secret" not in answer.text


def test_before_there_is_a_publication_the_answer_is_short(app: Flask) -> None:
    for path in ("/subscribe", "/brand.css", "/nowhere"):
        answer = app.test_client().get(path)
        assert answer.status_code in (404, 503)
        assert answer.mimetype == "text/plain"


def test_the_brand_is_the_publications_and_may_be_kept(site: Site, visitor: FlaskClient) -> None:
    answer = visitor.get("/brand.css")
    assert "--accent-light: #8a1c1c;" in answer.text
    assert "--on-accent-light: #ffffff;" in answer.text
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert visitor.get("/brand.css", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


def test_robots_are_kept_from_keys(site: Site, visitor: FlaskClient) -> None:
    text = visitor.get("/robots.txt").text
    for folder in ("/u/", "/leave/", "/preferences/", "/confirm/", "/not-me/"):
        assert f"Disallow: {folder}\n" in text
    assert "Disallow: /subscribe" not in text


def test_the_front_door_leads_to_the_form(site: Site, visitor: FlaskClient) -> None:
    assert visitor.get("/").headers["Location"] == "/subscribe"


FREE_OF_CSRF = {"web.sign_up", "web.confirm_or_renew", "web.refuse", "web.click_once", "web.do", "web.change"}


def test_only_pages_without_a_session_are_free_of_csrf_tokens(site: Site) -> None:
    unsafe = {
        rule.endpoint
        for rule in site.app.url_map.iter_rules()
        if rule.methods and rule.methods & {"POST", "PUT", "PATCH", "DELETE"}
    }
    assert unsafe >= FREE_OF_CSRF
    assert {endpoint for endpoint in unsafe if endpoint.startswith("web.")} == FREE_OF_CSRF
    protection = site.app.extensions["csrf"]
    assert protection._exempt_blueprints == {pages}
    assert not protection._exempt_views
