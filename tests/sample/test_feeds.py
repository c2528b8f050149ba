"""The feeds, read with other people's parsers."""

import json
from calendar import timegm
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import feedparser
import pytest
from flask.testing import FlaskClient

from newsletter.sample.articles import CATEGORIES, load_drafts
from newsletter.sample.site import create_site

BASE = "http://127.0.0.1:8090"
OPENED_AT = datetime(2026, 11, 22, 9, 30, 15, 250_000, tzinfo=UTC)

RSS = [f"/feeds/{category.lower()}.xml" for category in CATEGORIES]
XML = [*RSS, "/feeds/all.atom"]
FEEDS = [*XML, "/feeds/all.json"]
HOSTILE = "Rules for “<10 staff & family-run>” shops go back to the drafting table"


class StandingClock:
    """Tells the same instant until it is moved."""

    def __init__(self) -> None:
        self.now = OPENED_AT

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def open_site(clock: StandingClock) -> Callable[..., FlaskClient]:
    """Return a function that opens a site and hands out its client."""

    def opened(*, base_url: str = BASE, held_back: int = 12) -> FlaskClient:
        return create_site(base_url, held_back=held_back, clock=clock).test_client()

    return opened


@pytest.fixture
def site(open_site: Callable[..., FlaskClient]) -> FlaskClient:
    return open_site()


def parsed(site: FlaskClient, path: str) -> Any:
    answer = site.get(path)
    feed = feedparser.parse(answer.data, response_headers={"content-type": answer.content_type})
    assert not feed.bozo, feed.get("bozo_exception")
    return feed


@pytest.mark.parametrize("path", XML)
def test_a_feed_is_well_formed_and_its_links_are_absolute(site: FlaskClient, path: str) -> None:
    feed = parsed(site, path)
    assert feed.version == ("atom10" if path.endswith("atom") else "rss20")
    assert len(feed.entries) >= 7
    for entry in feed.entries:
        assert entry.link.startswith(f"{BASE}/articles/")
        assert entry.media_content[0]["url"].startswith(f"{BASE}/images/")
        assert entry.content[0].value.startswith("<p>")
        assert entry.author.endswith(" desk")


def test_the_four_feeds_together_hold_every_article(open_site: Callable[..., FlaskClient]) -> None:
    site = open_site(held_back=0)
    found = {entry.id for path in RSS for entry in parsed(site, path).entries}
    assert found == {draft.guid for draft in load_drafts()}


def test_all_formats_give_an_article_one_identity_and_address(site: FlaskClient) -> None:
    rss = {(entry.id, entry.link, entry.title) for path in RSS for entry in parsed(site, path).entries}
    atom = {(entry.id, entry.link, entry.title) for entry in parsed(site, "/feeds/all.atom").entries}
    items = json.loads(site.get("/feeds/all.json").data)["items"]
    assert rss == atom == {(item["id"], item["url"], item["title"]) for item in items}
    assert len(items) == len(load_drafts()) - 12


def test_an_identity_outlives_a_change_of_port(open_site: Callable[..., FlaskClient]) -> None:
    here, there = open_site(), open_site(base_url="http://127.0.0.1:9999/")
    ids = [[entry.id for entry in parsed(site, RSS[0]).entries] for site in (here, there)]
    assert ids[0] == ids[1]
    assert parsed(there, RSS[0]).entries[0].link.startswith("http://127.0.0.1:9999/articles/")


def test_an_article_of_two_desks_is_in_both_feeds_with_both_categories(site: FlaskClient) -> None:
    for path in ("/feeds/business.xml", "/feeds/politics.xml"):
        entry = next(entry for entry in parsed(site, path).entries if "small-shops" in entry.id)
        assert [tag.term for tag in entry.tags] == ["Business", "Politics"]


def test_a_hostile_title_comes_through_as_it_was_written(site: FlaskClient) -> None:
    channel = ET.fromstring(site.get("/feeds/business.xml").data)
    assert HOSTILE in [title.text for title in channel.iter("title")]
    assert HOSTILE in [entry.title for entry in parsed(site, "/feeds/business.xml").entries]
    assert HOSTILE in [entry.title for entry in parsed(site, "/feeds/all.atom").entries]
    assert HOSTILE in [item["title"] for item in json.loads(site.get("/feeds/all.json").data)["items"]]


def test_a_body_is_escaped_once_as_html_and_once_for_its_feed(site: FlaskClient) -> None:
    bodies = [
        next(entry.content[0].value for entry in parsed(site, path).entries if "small-shops" in entry.id)
        for path in ("/feeds/business.xml", "/feeds/all.atom")
    ]
    bodies += [
        item["content_html"]
        for item in json.loads(site.get("/feeds/all.json").data)["items"]
        if "small-shops" in item["id"]
    ]
    assert len(bodies) == 3
    for body in bodies:
        assert "“&lt;10 staff &amp; family-run&gt;”" in body


def test_the_json_feed_has_what_version_1_1_asks_for(site: FlaskClient) -> None:
    answer = site.get("/feeds/all.json")
    feed = json.loads(answer.data)
    assert answer.mimetype == "application/feed+json"
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert feed["feed_url"] == f"{BASE}/feeds/all.json"
    for item in feed["items"]:
        assert datetime.fromisoformat(item["date_published"]).tzinfo is not None
        assert item["authors"][0]["name"] == f"{item['tags'][0]} desk"


def test_a_feed_always_looks_fresh(open_site: Callable[..., FlaskClient], clock: StandingClock) -> None:
    clock.move(days=400)
    newest = parsed(open_site(), RSS[3]).entries[0]
    age = clock.now - datetime.fromtimestamp(timegm(newest.published_parsed), UTC)
    assert timedelta(0) < age < timedelta(days=1)


@pytest.mark.parametrize("path", FEEDS)
@pytest.mark.parametrize("validator", [("ETag", "If-None-Match"), ("Last-Modified", "If-Modified-Since")])
def test_whoever_holds_the_current_feed_gets_304(site: FlaskClient, path: str, validator: tuple[str, str]) -> None:
    header, condition = validator
    first = site.get(path)
    again = site.get(path, headers={condition: first.headers[header]})
    assert first.status_code == 200
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]


@pytest.mark.parametrize("path", FEEDS)
@pytest.mark.parametrize("validator", [("ETag", "If-None-Match"), ("Last-Modified", "If-Modified-Since")])
def test_after_a_release_the_old_validators_no_longer_hold(
    site: FlaskClient, clock: StandingClock, path: str, validator: tuple[str, str]
) -> None:
    header, condition = validator
    first = site.get(path)
    clock.move(minutes=1)
    assert site.post("/_release", data={"count": 4}).status_code == 200
    again = site.get(path, headers={condition: first.headers[header]})
    assert again.status_code == 200
    assert len(again.data) > len(first.data)


def test_no_article_is_dated_in_the_future(site: FlaskClient) -> None:
    site.post("/_release", data={"count": 12})
    items = json.loads(site.get("/feeds/all.json").data)["items"]
    assert max(datetime.fromisoformat(item["date_published"]) for item in items) <= OPENED_AT


def test_an_unknown_feed_is_not_found(site: FlaskClient) -> None:
    assert site.get("/feeds/sports.xml").status_code == 404
