"""Leaving: the mail program's one click, and the page for people."""

import datetime

import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete, select

from newsletter.audience.models import Consent, ConsentAct, Subscriber
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.links import Link
from newsletter.foundation.services import services
from newsletter.web import frame
from tests.web.site import Site, everything, field

RFC_8058 = b"List-Unsubscribe=One-Click"
MULTIPART = (
    b'--frontier\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--frontier--\r\n'
)
BODIES = {
    "form": (RFC_8058, "application/x-www-form-urlencoded"),
    "multipart": (MULTIPART, "multipart/form-data; boundary=frontier"),
    "nothing": (b"", ""),
    "other words": (b"act=pause&weeks=4", "application/x-www-form-urlencoded"),
    "broken multipart": (b"--x\r\nnonsense", "multipart/form-data"),
    "two megabytes": (b"x" * 2_000_000, "application/octet-stream"),
    "json with a NUL": (b'{"a": "\\u0000"}', "application/json"),
}


@pytest.mark.parametrize("body", BODIES)
def test_one_click_ends_the_list_at_once_whatever_the_body(site: Site, body: str) -> None:
    reader = site.reader()
    data, kind = BODIES[body]
    path = site.link(Link.ONE_CLICK, reader)
    for _ in range(2):
        answer = site.app.test_client().post(path, data=data, content_type=kind)
        assert answer.status_code == 200
        assert "Location" not in answer.headers
        assert "Set-Cookie" not in answer.headers
        assert site.choices(reader) == {}


def test_one_click_works_on_each_database_and_twice_is_once(site_on_each: Site) -> None:
    site = site_on_each
    reader = site.reader()
    path = site.link(Link.ONE_CLICK, reader)
    first = site.app.test_client().post(path, data=RFC_8058)
    before = everything()
    second = site.app.test_client().post(path, data=RFC_8058)
    assert (first.status_code, second.status_code) == (200, 200)
    assert everything() == before
    assert [row.act for row in db.session().scalars(select(Consent).order_by(Consent.id))][-1] is ConsentAct.WITHDRAWN


def test_one_click_ends_that_list_only(site: Site, visitor: FlaskClient) -> None:
    reader = site.reader()
    visitor.post(site.link(Link.PREFERENCES, reader), data={"act": "save", "category-world": "weekly"})
    answer = visitor.post(site.link(Link.ONE_CLICK, reader), data=RFC_8058)
    assert site.choices(reader) == {"world": "weekly"}
    assert "Weekly: World" in answer.text
    assert "Leave all mails" in answer.text


def test_one_click_after_erasure_is_answered_the_same_way(site: Site, visitor: FlaskClient) -> None:
    reader = site.reader()
    with transaction() as session:
        session.execute(delete(Consent))
        session.execute(delete(Subscriber))
    for subscriber_id in (reader, 10**15):
        answer = visitor.post(site.link(Link.ONE_CLICK, subscriber_id), data=RFC_8058)
        assert answer.status_code == 200
        assert "Location" not in answer.headers
    assert visitor.get(site.link(Link.ONE_CLICK, reader)).status_code == 410
    assert visitor.get(site.link(Link.LEAVE, reader)).status_code == 410
    assert visitor.post(site.link(Link.LEAVE, reader), data={"act": "leave"}).status_code == 410


def test_one_click_is_not_slowed_however_often_it_comes_from_one_address(site: Site, visitor: FlaskClient) -> None:
    path = site.link(Link.ONE_CLICK, site.reader())
    one = {"REMOTE_ADDR": "203.0.113.5"}
    assert {visitor.post(path, data=RFC_8058, environ_overrides=one).status_code for _ in range(100)} == {200}


def test_one_click_asks_for_no_origin_and_ignores_foreign_cookies(site: Site, visitor: FlaskClient) -> None:
    reader = site.reader()
    visitor.set_cookie("__Host-newsletter", "somebody-else")
    headers = {"Origin": "https://mail.provider.example", "Sec-Fetch-Site": "cross-site"}
    answer = visitor.post(site.link(Link.ONE_CLICK, reader), data=RFC_8058, headers=headers)
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers
    assert site.choices(reader) == {}


def test_the_headers_link_shows_people_a_page_whose_buttons_use_the_other_token(
    site: Site, visitor: FlaskClient
) -> None:
    reader = site.reader()
    page = visitor.get(site.link(Link.ONE_CLICK, reader)).text
    assert "Leave “Daily”?" in page
    assert f'action="{site.link(Link.LEAVE, reader)}"' in page
    assert 'action="/u/' not in page
    assert site.link(Link.ONE_CLICK, reader).split("/")[-1] != site.link(Link.LEAVE, reader).split("/")[-1]


def test_leaving_one_list_and_all(site: Site, visitor: FlaskClient) -> None:
    reader = site.reader()
    path = site.link(Link.LEAVE, reader)
    visitor.post(site.link(Link.PREFERENCES, reader), data={"act": "save", "category-world": "weekly"})
    asked = visitor.get(path).text
    assert "a•••@r•••.org" in asked
    assert "you still get: Weekly: World" in asked
    left = visitor.post(path, data={"act": "leave"})
    assert "You have left “Daily”" in left.text
    assert site.choices(reader) == {"world": "weekly"}
    assert "You have left all our mails" in visitor.post(path, data={"act": "leave_all"}).text
    assert site.choices(reader) == {}


def test_a_press_by_mistake_is_undone_on_the_page_behind_the_visible_link(site: Site, visitor: FlaskClient) -> None:
    reader = site.reader()
    visitor.post(site.link(Link.ONE_CLICK, reader), data=RFC_8058)
    path = site.link(Link.LEAVE, reader)
    page = visitor.get(path).text
    assert "You have left “Daily”" in page
    for _ in range(2):
        answer = visitor.post(path, data={"act": "undo", "undo_token": field(page, "undo_token")})
        assert "All is as it was" in answer.text
        assert site.choices(reader) == {"business": "daily", "world": "daily"}


def test_the_way_back_is_closed_after_a_week(site: Site, visitor: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = site.reader()
    path = site.link(Link.LEAVE, reader)
    page = visitor.post(path, data={"act": "leave"}).text
    now = utc_now() + datetime.timedelta(days=8)
    monkeypatch.setattr(frame, "utc_now", lambda: now)
    answer = visitor.post(path, data={"act": "undo", "undo_token": field(page, "undo_token")})
    assert answer.status_code == 409
    assert "for 7 days only" in answer.text
    assert site.choices(reader) == {}


def test_another_readers_way_back_is_none(site: Site, visitor: FlaskClient) -> None:
    ada, eve = site.reader(), site.reader("eve@reader.example.org")
    page = visitor.post(site.link(Link.LEAVE, ada), data={"act": "leave"}).text
    stolen = {"act": "undo", "undo_token": field(page, "undo_token")}
    assert visitor.post(site.link(Link.LEAVE, eve), data=stolen).status_code == 404
    assert visitor.post(site.link(Link.PREFERENCES, eve), data=stolen).status_code == 404
    assert site.choices(ada) == {}


def test_a_pause_a_slower_pace_and_fewer_categories(site: Site, visitor: FlaskClient) -> None:
    reader = site.reader()
    path = site.link(Link.LEAVE, reader)
    paused = visitor.post(path, data={"act": "pause", "weeks": "2"})
    assert "Your mails are paused" in paused.text
    assert db.session().get_one(Subscriber, reader).paused_at
    undone = visitor.post(path, data={"act": "undo", "undo_token": field(paused.text, "undo_token")})
    assert undone.status_code == 200
    db.session().commit()
    assert db.session().get_one(Subscriber, reader, populate_existing=True).paused_at is None
    fewer = visitor.post(path, data={"act": "fewer", "keep": ["world", "politics", "nonsense"]})
    assert "only the categories that you kept" in fewer.text
    assert site.choices(reader) == {"world": "daily"}, "what they never had is not added"
    moved = visitor.post(path, data={"act": "move", "cadence": "weekly"})
    assert "as “Weekly”" in moved.text
    assert site.choices(reader) == {"world": "weekly"}
    visitor.post(path, data={"act": "undo", "undo_token": field(moved.text, "undo_token")})
    assert site.choices(reader) == {"world": "daily"}


def test_keeping_nothing_is_leaving(site: Site, visitor: FlaskClient) -> None:
    reader = site.reader()
    assert "You have left “Daily”" in visitor.post(site.link(Link.LEAVE, reader), data={"act": "fewer"}).text
    assert site.choices(reader) == {}


def test_what_the_page_does_not_offer_changes_nothing(site: Site, visitor: FlaskClient) -> None:
    path = site.link(Link.LEAVE, site.reader())
    before = everything()
    for fields in [
        {},
        {"act": "nonsense"},
        {"act": "pause", "weeks": "999999999"},
        {"act": "pause"},
        {"act": "move", "cadence": "daily"},
        {"act": "move", "cadence": "\0"},
    ]:
        answer = visitor.post(path, data=fields)
        assert answer.status_code == 422
        assert "Please choose from what is offered" in answer.text
    assert everything() == before


@pytest.mark.parametrize("data", [{"act": "undo"}, {"act": "undo", "undo_token": "x.y.z"}])
def test_a_way_back_that_is_not_ours_is_nothing(site: Site, visitor: FlaskClient, data: dict[str, str]) -> None:
    assert visitor.post(site.link(Link.LEAVE, site.reader()), data=data).status_code == 404


def test_a_mail_of_no_list_offers_to_leave_all(site: Site, visitor: FlaskClient) -> None:
    reader = site.reader()
    path = f"/leave/{services().links.token(Link.LEAVE, reader, 0, 3)}"
    assert "Leave “The Gazette”?" in visitor.get(path).text
    visitor.post(path, data={"act": "leave"})
    assert site.choices(reader) == {}
