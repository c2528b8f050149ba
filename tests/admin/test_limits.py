"""Limits for mail hosts and what is slowed down, on the relays' page."""

from html import unescape

import pytest
from flask import Flask
from sqlalchemy import select

from newsletter.delivery.models import HostLimit, Slowdown
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from tests.admin.browsing import SITE, Browser


def _limits() -> list[tuple[str, int | None, int | None]]:
    db.session.commit()
    query = select(HostLimit).execution_options(populate_existing=True)
    return [(one.host_group, one.connections, one.per_hour) for one in db.session.scalars(query)]


def test_a_limit_is_set_replaced_and_lifted(place: Flask, ada: Browser) -> None:
    assert "No limit for any provider" in ada.open("/admin/relays")
    ada.press("/admin/limits", group="Google.com", limit_connections="2", limit_per_hour="")
    assert _limits() == [("google.com", 2, None)]
    ada.press("/admin/limits", group="google.com", limit_per_hour="9000")
    assert _limits() == [("google.com", None, 9000)]
    assert "9,000" in ada.open("/admin/relays")
    ada.press("/admin/limits/remove", group="google.com")
    assert _limits() == []
    assert ada.press("/admin/limits/remove", group="google.com").status_code == 404


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"group": "", "limit_per_hour": "5"}, "Type a group of mail hosts"),
        ({"group": "<script>", "limit_per_hour": "5"}, "Type a group of mail hosts"),
        ({"group": "google.com"}, "at least one limit"),
        ({"group": "google.com", "limit_per_second": "0"}, "whole number"),
        ({"group": "google.com", "limit_per_second": "9" * 30}, "whole number"),
        ({"group": "google.com", "limit_connections": "few"}, "whole number"),
    ],
)
def test_what_is_no_limit_is_explained_beside_it(
    place: Flask, ada: Browser, fields: dict[str, str | list[str]], said: str
) -> None:
    ada.open("/admin/relays")
    answer = ada.press("/admin/limits", **fields)
    assert answer.status_code == 422
    assert said in unescape(answer.text).split('id="group-problem"')[1].split("</p>")[0]
    assert "<script>" not in answer.text.split("<main")[1]
    assert _limits() == []


def test_what_is_slowed_down_says_why_and_goes_on_when_told(place: Flask, ada: Browser) -> None:
    because = "421 4.7.28 <b>too fast</b>"
    with transaction() as session:
        session.add(Slowdown(key="hosts:google.com", share=0.25, because=because, changed_at=utc_now()))
        session.add(Slowdown(key="relay:0", share=0.5, because="", changed_at=utc_now()))
    page = ada.open("/admin/relays")
    assert "At 25 % of its speed" in page
    assert "421 4.7.28 &lt;b&gt;too fast&lt;/b&gt;" in page
    assert "relay of the settings" in page
    ada.press("/admin/slowdowns/clear", key="hosts:google.com")
    assert db.session.scalars(select(Slowdown.key)).all() == ["relay:0"]
    assert ada.press("/admin/slowdowns/clear", key="hosts:google.com").status_code == 404


@pytest.mark.parametrize("path", ["/admin/limits", "/admin/limits/remove", "/admin/slowdowns/clear"])
def test_nothing_changes_without_a_token_or_by_opening_a_page(place: Flask, ada: Browser, path: str) -> None:
    fields = {"group": "google.com", "limit_per_hour": "5", "key": "relay:0"}
    assert ada.client.post(path, base_url=SITE, data=fields).status_code == 400
    assert ada.client.get(path, base_url=SITE, query_string=fields).status_code == 405
    assert _limits() == []
