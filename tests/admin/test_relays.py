"""Relays on the operators' pages: added, tried, held, and no password or foreign markup ever shown."""

import re
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient

from newsletter.delivery import relay_views, relays, watching
from newsletter.delivery.models import FROM_SETTINGS, Relay, RelayState, Tls
from newsletter.delivery.relay_terms import Terms
from newsletter.delivery.relays import Health
from newsletter.delivery.replies import Outcome, Verdict
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.services import services
from tests.admin.browsing import SITE, Browser
from tests.delivery.sink import Sink

FILLED: dict[str, str | list[str]] = {
    "name": "Main",
    "host": "mail.example.org",
    "port": "587",
    "tls": "starttls",
    "username": "gazette",
    "password": "h1dden-from-everybody",
    "weight": "3",
    "connections": "4",
    "per_second": "",
    "per_minute": "",
    "per_hour": "5000",
    "senders": "news@gazette.example",
    "streams": ["daily", "confirmations"],
    "hello": "",
}
SHOUT = "<script>alert(1)</script>"


def _add(name: str = "Main", **terms: object) -> int:
    with transaction() as session:
        made = relays.add(session, Terms(name, "mail.example.org", **terms), "", services().vault, utc_now())  # type: ignore[arg-type]  # a few of its fields
        return made.id


def _state(relay_id: int) -> Health:
    db.session.commit()
    return relay_views.one(db.session(), relay_id, utc_now()).health


def test_without_any_the_one_of_the_settings_is_shown_with_the_way_to_more(place: Flask, ada: Browser) -> None:
    page = ada.open("/admin/relays")
    assert "the one of the settings" in page
    assert "all mail goes to the one relay of the settings" in page
    assert "NEWSLETTER_SMTP_URL" in ada.open("/admin/relays/0")


def test_a_relay_is_added_changed_and_its_password_never_shown(place: Flask, ada: Browser) -> None:
    ada.open("/admin/relays")
    answer = ada.press("/admin/relays", **FILLED)
    assert answer.location == "/admin/relays/1"
    relay = relays.get(db.session(), 1)
    assert (relay.weight, relay.connections, relay.per_hour, relay.senders) == (3, 4, 5000, ["news@gazette.example"])
    assert sorted(relay.streams) == ["confirmations", "daily"]
    page = ada.open("/admin/relays/1")
    assert "h1dden" not in page + ada.open("/admin/relays")
    assert "gazette, with a password" in page
    ada.press("/admin/relays/1", **FILLED | {"password": "", "name": "First", "streams": []})
    db.session.commit()
    db.session.expire_all()
    assert relays.get(db.session(), 1).name == "First"
    assert relays.endpoint(db.session(), 1).password == "h1dden-from-everybody"
    moved = ada.press("/admin/relays/1", **FILLED | {"password": "", "host": "evil.example.net"})
    assert moved.status_code == 422
    assert "Type the password again" in moved.text
    assert "No relay takes “Weekly”" not in ada.open("/admin/relays")


@pytest.mark.parametrize(
    ("wrong", "field", "said"),
    [
        ({"name": ""}, "name", "Give the relay a name"),
        ({"name": "taken"}, "name", "There is a relay called taken already"),
        ({"host": "smtp://x"}, "host", "must be a name"),
        ({"port": ""}, "port", "whole number from 1"),
        ({"port": "0"}, "port", "whole number from 1"),
        ({"weight": "9" * 40}, "weight", "whole number from 0"),
        ({"weight": "1.5"}, "weight", "whole number from 0"),
        ({"connections": "many"}, "connections", "whole number from 1"),
        ({"per_hour": "10000000000000000000"}, "per_hour", "whole number from 1"),
        ({"per_minute": "٣"}, "per_minute", "whole number from 1"),
        ({"senders": "x@elsewhere.example"}, "senders", "We send no mail from x@elsewhere.example"),
        ({"streams": ["hourly"]}, "streams", "There is no cadence hourly"),
        ({"password": ""}, "password", "Type the password that belongs"),
        ({"tls": "opportunistic"}, "tls", "could read the password"),
    ],
)
def test_each_mistake_is_explained_beside_its_field_and_nothing_typed_is_lost(
    place: Flask, ada: Browser, wrong: dict[str, str | list[str]], field: str, said: str
) -> None:
    _add("Taken")
    ada.open("/admin/relays")
    answer = ada.press("/admin/relays", **FILLED | wrong)
    page = unescape(answer.text)
    assert answer.status_code == 422
    assert said in page.split(f'id="{field}-problem"')[1].split("</p>")[0]
    assert re.search(rf'href="#{field}"', page)
    assert 'value="gazette"' in page
    assert "h1dden" not in page
    assert db.session.query(Relay).count() == 1


def test_markup_in_names_and_in_what_relays_say_stays_text(place: Flask, ada: Browser) -> None:
    relay_id = _add(SHOUT)
    with transaction() as session:
        watching.trouble(session, relay_id, Outcome(Verdict.OURS, 550, SHOUT), utc_now())
        watching.hold(session, relay_id, utc_now(), because=SHOUT)
    for path in ("/admin/relays", f"/admin/relays/{relay_id}", "/admin/"):
        page = ada.open(path)
        assert "<script>alert" not in page
        assert "&lt;script&gt;" in page
    answer = ada.press("/admin/relays", **FILLED | {"host": SHOUT, "senders": SHOUT})
    assert "<script>alert" not in answer.text


def test_it_is_held_resumed_disabled_enabled_and_removed(place: Flask, ada: Browser) -> None:
    relay_id = _add()
    ada.open("/admin/relays")
    for act, health, said in (
        ("hold", Health.HELD, "Held until an operator resumes it"),
        ("resume", Health.READY, "taken no mail yet"),
        ("disable", Health.DISABLED, "Disabled by an operator"),
        ("enable", Health.READY, "taken no mail yet"),
    ):
        assert ada.press(f"/admin/relays/{relay_id}/{act}").location == f"/admin/relays/{relay_id}"
        assert _state(relay_id) is health
        assert said in ada.open(f"/admin/relays/{relay_id}")
    assert ada.press(f"/admin/relays/{relay_id}/resume").status_code == 409
    assert ada.press(f"/admin/relays/{relay_id}/remove").location == "/admin/relays"
    assert ada.press(f"/admin/relays/{relay_id}/hold").status_code == 404
    assert ada.client.get(f"/admin/relays/{relay_id}", base_url=SITE).status_code == 404


def test_one_that_took_mail_offers_no_removal_and_refuses_it(place: Flask, ada: Browser) -> None:
    relay_id = _add()
    with transaction() as session:
        watching.well(session, relay_id, utc_now())
    assert "Remove" not in ada.open(f"/admin/relays/{relay_id}")
    assert ada.press(f"/admin/relays/{relay_id}/remove").status_code == 409


def test_the_one_of_the_settings_is_held_and_resumed_but_not_changed(place: Flask, ada: Browser) -> None:
    ada.open("/admin/relays/0")
    assert ada.press("/admin/relays/0/hold").location == "/admin/relays/0"
    page = ada.open("/admin/")
    assert "The relay of the settings does not take our mail" in page
    assert ada.press("/admin/relays/0/resume").status_code == 303
    for act in ("", "/disable", "/remove", "/enable"):
        assert ada.press(f"/admin/relays/0{act}", **FILLED).status_code == 404


def test_a_test_says_how_far_it_came(place: Flask, ada: Browser) -> None:
    ada.open("/admin/relays/0")
    ada.press("/admin/relays/0/test")
    assert "There is no way to 127.0.0.1:1" in unescape(ada.open("/admin/relays/0"))
    with Sink() as sink:
        with transaction() as session:
            terms = Terms("Here", "127.0.0.1", sink.port, Tls.OPPORTUNISTIC)
            relay_id = relays.add(session, terms, "", services().vault, utc_now()).id
        ada.press(f"/admin/relays/{relay_id}/test")
        assert sink.messages == []
    assert "takes our mail" in ada.open(f"/admin/relays/{relay_id}")


def test_a_mail_that_no_relay_takes_is_named_on_the_list(place: Flask, ada: Browser) -> None:
    _add(streams=("daily",))
    page = unescape(ada.open("/admin/relays"))
    assert "No relay takes “Confirmations” from confirm@gazette.example" in page


@pytest.mark.parametrize("act", ["", "/test", "/hold", "/resume", "/disable", "/enable", "/remove"])
def test_nothing_happens_without_signing_in_a_token_or_a_press(
    place: Flask, client: FlaskClient, ada: Browser, act: str
) -> None:
    relay_id = _add()
    path = f"/admin/relays/{relay_id}{act}"
    assert client.post(path, base_url=SITE, data=FILLED).status_code in (302, 303, 400)
    ada.open("/admin/relays")
    assert ada.client.post(path, base_url=SITE, data=FILLED).status_code == 400
    if act:
        assert ada.client.get(path, base_url=SITE).status_code == 405
    assert _state(relay_id) is Health.READY


def test_the_overview_tells_of_a_relay_in_trouble(place: Flask, ada: Browser) -> None:
    with transaction() as session:
        session.add(RelayState(id=FROM_SETTINGS, failures=1, last_error="421 later", last_error_at=utc_now()))
    page = ada.open("/admin/")
    assert "421 later" in page
    assert 'href="/admin/relays/0"' in page
    assert "All is well" not in page
