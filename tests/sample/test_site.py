"""The pages, the sign-up box and the release hook."""

from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient

from newsletter.sample.articles import CATEGORIES, load_drafts
from newsletter.sample.site import create_site

OPENED_AT = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)

FORM = '<form method="post" action="https://news.example/embed"><button>Sign up</button></form>'
HELD = load_drafts()[-12:]


def open_site(*, signup_url: str | None = None, signup_html: str | None = None) -> FlaskClient:
    base_url = "http://127.0.0.1:8090"
    site = create_site(base_url, signup_url=signup_url, signup_html=signup_html, held_back=12, clock=lambda: OPENED_AT)
    return site.test_client()


@pytest.fixture
def site() -> FlaskClient:
    return open_site()


def test_the_front_page_shows_each_category_and_announces_each_feed(site: FlaskClient) -> None:
    page = site.get("/").text
    for category in CATEGORIES:
        assert f'<section id="{category.lower()}"' in page
        assert f'href="/feeds/{category.lower()}.xml"' in page
    assert page.count('rel="alternate"') == 6


def test_every_link_on_the_front_page_leads_somewhere(site: FlaskClient) -> None:
    page = site.get("/").text
    addresses = {part.split('"', 1)[0] for part in page.split('href="')[1:] + page.split('src="')[1:]}
    for address in addresses:
        with site.get(address.split("#")[0] or "/") as answer:  # closes the style sheet's file
            assert answer.status_code == 200, address


def test_an_article_page_has_the_whole_text_and_no_markup_from_its_title(site: FlaskClient) -> None:
    page = site.get("/articles/small-shops-rule-redrafted").text
    assert "<h1>Rules for “&lt;10 staff &amp; family-run&gt;” shops go back to the drafting table</h1>" in page
    assert "The family may be dropped altogether." in page
    assert "Business desk" in page


def test_pages_have_no_script_and_forbid_any(site: FlaskClient) -> None:
    for path in ("/", "/articles/small-shops-rule-redrafted"):
        answer = site.get(path)
        assert "<script" not in answer.text
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/", "/articles/small-shops-rule-redrafted"])
def test_the_embedded_form_shows_as_it_was_handed_over(path: str) -> None:
    page = open_site(signup_html=FORM).get(path).text
    assert FORM in page
    assert "The Gazette by e-mail" in page


def test_the_sign_up_page_is_linked_and_its_address_escaped() -> None:
    page = open_site(signup_url='https://news.example/?a=1&b="').get("/").text
    assert 'href="https://news.example/?a=1&amp;b=&#34;"' in page


def test_a_site_without_newsletter_has_no_sign_up_box(site: FlaskClient) -> None:
    assert "newsletter" not in site.get("/").text


def test_what_is_held_back_cannot_be_seen_in_any_way(site: FlaskClient) -> None:
    for draft in HELD:
        assert site.get(f"/articles/{draft.slug}").status_code == 404
        assert site.get(f"/images/{draft.slug}.png").status_code == 404
        assert draft.slug not in site.get("/").text + site.get("/feeds/all.atom").text


def test_a_release_publishes_the_next_and_says_what_waits(site: FlaskClient) -> None:
    answer = site.post("/_release", data={"count": 2})
    assert answer.json == {"released": [HELD[1].slug, HELD[0].slug], "waiting": 10}
    assert site.get(f"/articles/{HELD[0].slug}").status_code == 200
    assert site.get(f"/articles/{HELD[2].slug}").status_code == 404


@pytest.mark.parametrize("count", ["", "0", "-1", "many", "1.5"])
def test_a_release_without_a_sound_count_is_refused(site: FlaskClient, count: str) -> None:
    assert site.post("/_release", data={"count": count}).status_code == 400
    assert site.get(f"/articles/{HELD[0].slug}").status_code == 404


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::1", ""])
def test_a_release_from_another_machine_is_refused(site: FlaskClient, address: str) -> None:
    answer = site.post("/_release", data={"count": 1}, environ_base={"REMOTE_ADDR": address})
    assert answer.status_code == 403


def test_a_release_by_a_web_page_is_refused(site: FlaskClient) -> None:
    answer = site.post("/_release", data={"count": 1}, headers={"Origin": "https://elsewhere.example"})
    assert answer.status_code == 403


def test_reading_releases_nothing(site: FlaskClient) -> None:
    assert site.get("/_release?count=1").status_code == 405


def test_an_image_is_served_as_png_and_kept_by_its_etag(site: FlaskClient) -> None:
    first = site.get("/images/small-shops-rule-redrafted.png")
    assert first.mimetype == "image/png"
    again = site.get("/images/small-shops-rule-redrafted.png", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
