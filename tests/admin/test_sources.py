"""Sources on the operators' pages: found by the site's address, watched, and their words given a meaning."""

import datetime

import pytest
from flask import Flask

from newsletter.content import categories, sources
from newsletter.content.models import Article, Backlog, Source, Term
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.services import services
from tests.admin.browsing import Browser
from tests.admin.feeds import FEED, SITE, Web, rss


@pytest.fixture
def web(place: Flask) -> Web:
    """A web with one site and its feed, and two categories of ours."""
    with transaction() as session:
        categories.add(session, "Business")
        categories.add(session, "World")
    return Web().install(place)


def test_without_a_source_the_page_and_the_overview_say_what_to_do(place: Flask, ada: Browser) -> None:
    assert "No source yet" in ada.open("/admin/sources")
    page = ada.open("/admin/")
    assert "Add the categories that readers can ask for" in page
    assert "Add a source of articles" in page


def test_the_address_of_the_site_will_do(web: Web, ada: Browser) -> None:
    ada.open("/admin/sources")
    answer = ada.press("/admin/sources", address=SITE, category="1", backlog="seen")
    assert answer.location == "/admin/sources/1"
    source = sources.get(db.session(), 1)
    assert (source.url, source.title, source.backlog, source.default_category_id) == (FEED, "Wire", Backlog.SEEN, 1)
    assert "Found “Wire” with 1 articles" in ada.open("/admin/sources/1")


@pytest.mark.parametrize(
    ("address", "said"),
    [("", "Type the address"), ("https://wire.example/nothing", "404 (not found)")],
)
def test_what_cannot_be_added_is_explained_beside_the_address(web: Web, ada: Browser, address: str, said: str) -> None:
    ada.open("/admin/sources")
    answer = ada.press("/admin/sources", address=address, backlog="new")
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert said in page.split('id="address-problem"')[1]
    assert f'value="{address}"' in page
    assert db.session.query(Source).count() == 0


def test_a_source_is_added_once(web: Web, ada: Browser) -> None:
    ada.open("/admin/sources")
    ada.press("/admin/sources", address=FEED)
    answer = ada.press("/admin/sources", address=SITE)
    assert answer.status_code == 422
    assert "is a source already" in answer.get_data(as_text=True)


def test_a_password_is_used_kept_sealed_and_never_shown(web: Web, ada: Browser) -> None:
    ada.open("/admin/sources")
    ada.press("/admin/sources", address=FEED, username="reader", password="t0p-secret-word")
    assert web.asked_with == [("reader", "t0p-secret-word")]
    source = sources.get(db.session(), 1)
    assert "t0p-secret-word" not in source.sealed_password
    assert services().vault.open(source.sealed_password) == "t0p-secret-word"
    assert "t0p-secret-word" not in ada.open("/admin/sources/1") + ada.open("/admin/sources")
    web.documents.clear()
    answer = ada.press("/admin/sources", address=FEED, username="reader", password="an0ther-word")
    assert "an0ther-word" not in answer.get_data(as_text=True)


def test_the_backlog_is_asked_about_and_answered_once(web: Web, ada: Browser) -> None:
    ada.open("/admin/sources")
    ada.press("/admin/sources", address=FEED)
    ada.press("/admin/sources/1/fetch")
    assert "had 1 articles when it was added" in ada.open("/admin/")
    assert "Seen, or new?" in ada.open("/admin/sources/1")
    assert ada.press("/admin/sources/1/backlog", act="perhaps").status_code == 422
    ada.press("/admin/sources/1/backlog", act="new")
    assert "Seen, or new?" not in ada.open("/admin/sources/1")
    assert db.session.query(Article).one().number is not None
    assert ada.press("/admin/sources/1/backlog", act="seen").status_code == 409


def test_fetching_now_says_what_came_of_it(web: Web, ada: Browser) -> None:
    ada.open("/admin/sources")
    ada.press("/admin/sources", address=FEED)
    ada.press("/admin/sources/1/fetch")
    assert "Fetched: 1 new, 0 changed." in ada.open("/admin/sources/1")
    ada.press("/admin/sources/1/fetch")
    assert "Nothing new." in ada.open("/admin/sources/1")
    web.documents.clear()
    ada.press("/admin/sources/1/fetch")
    page = ada.open("/admin/sources/1")
    assert "404 (not found)" in page
    assert "ailing" in page


def test_a_word_without_a_meaning_waits_until_somebody_decides(web: Web, ada: Browser) -> None:
    items = rss(("Markets", "Business"), ("Letters", "Opinion"), ("Ads", "Sponsored"))
    web.documents[FEED] = ("application/rss+xml", items)
    ada.open("/admin/sources")
    ada.press("/admin/sources", address=FEED, backlog="new")
    ada.press("/admin/sources/1/fetch")
    assert "2 words of your sources mean no category yet" in ada.open("/admin/")
    page = ada.open("/admin/sources").split("Words that mean no category yet")[1]
    assert "Opinion" in page
    assert "Sponsored" in page
    ids = {term.name: term.id for term in db.session.query(Term)}
    assert ada.press(f"/admin/terms/{ids['Opinion']}", act="map", category="").status_code == 422
    assert ada.press(f"/admin/terms/{ids['Opinion']}", act="map", category="2").location == "/admin/sources"
    led = ada.press(f"/admin/terms/{ids['Sponsored']}", act="ignore", source="1")
    assert led.location == "/admin/sources/1"
    page = ada.open("/admin/sources/1")
    assert "means World" in page
    assert "means nothing" in page
    assert "Words that mean no category yet" not in ada.open("/admin/sources")


def test_a_source_is_paused_resumed_renamed_and_removed(web: Web, ada: Browser) -> None:
    ada.open("/admin/sources")
    ada.press("/admin/sources", address=FEED)
    ada.press("/admin/sources/1/pause")
    assert "Resume" in ada.open("/admin/sources/1")
    assert ada.press("/admin/sources/1/fetch").status_code == 409
    ada.press("/admin/sources/1/resume")
    ada.press("/admin/sources/1", title="The wire", category="2")
    page = ada.open("/admin/sources/1")
    assert "<h1>The wire" in page
    assert '<option value="2" selected>World</option>' in page
    assert ada.press("/admin/sources/1", title=" ", category="2").status_code == 422
    ada.press("/admin/sources/1/remove")
    ada.open("/admin/sources/1", status=404)


def test_a_source_that_fails_for_days_stands_on_the_overview(web: Web, ada: Browser) -> None:
    ada.open("/admin/sources")
    ada.press("/admin/sources", address=FEED)
    with transaction() as session:
        source = sources.get(session, 1)
        source.failures, source.last_error = 5, "The server answered 500 (internal server error)."
        source.last_success_at = utc_now() - datetime.timedelta(days=3)
    page = ada.open("/admin/")
    assert "A source is in trouble" in page
    assert "It last worked 3 days ago." in page
