"""Relays that operators add: what is refused, who is handed which mail, and where a password may go."""

import datetime
from dataclasses import replace

import pytest
from flask import Flask

from newsletter.audience import cadences
from newsletter.delivery import relay_views, relays, watching
from newsletter.delivery.models import FROM_SETTINGS, Relay, RelayState, Tls
from newsletter.delivery.relay_terms import Terms
from newsletter.delivery.relays import Health
from newsletter.delivery.replies import Outcome, Verdict
from newsletter.delivery.routing import CONFIRMATIONS
from newsletter.foundation.db import db, transaction
from newsletter.foundation.errors import ConflictError, InvalidError, NotFoundError
from newsletter.foundation.services import services
from newsletter.publication import identity
from tests.conftest import NOW

NEWS, HELLO = "news@gazette.example.org", "hello@gazette.example.org"
MAIN = Terms("main", "mail.example.org", username="gazette")
PASSWORD = "h1dden-from-everybody"
GONE = Outcome(Verdict.UNSENT, None, "connection refused")


@pytest.fixture
def place(app_on_each: Flask) -> Flask:
    """A publication with its two senders and cadences."""
    _publish()
    return app_on_each


@pytest.fixture
def small(app: Flask) -> Flask:
    """The same, on SQLite only."""
    _publish()
    return app


def _publish() -> None:
    with transaction() as session:
        identity.create(
            session,
            identity.Identity("The Gazette", "https://g.example.org", digest_from=NEWS, confirmation_from=HELLO),
            NOW,
        )
        cadences.ensure_defaults(session)


def _add(name: str = "main", password: str = "", **changes: object) -> int:
    terms = replace(Terms(name, f"{name}.example.org"), **changes)  # type: ignore[arg-type]
    with transaction() as session:
        return relays.add(session, terms, password, services().vault, NOW).id


def _usable(sender: str = NEWS, stream: str = "daily", now: datetime.datetime = NOW) -> list[str]:
    db.session.commit()
    return [endpoint.name for endpoint in relays.usable(db.session(), sender, stream, now)]


def test_while_there_is_none_the_relay_of_the_settings_takes_everything(place: Flask) -> None:
    (only,) = relays.usable(db.session(), NEWS, "daily", NOW)
    assert (only.id, only.host, only.port) == (FROM_SETTINGS, "127.0.0.1", 1)
    with transaction() as session:
        watching.hold(session, FROM_SETTINGS, NOW)
    assert _usable() == []
    assert relay_views.uncovered(db.session()) == []


def test_a_relay_takes_mail_as_it_was_told(place: Flask) -> None:
    relay_id = _add("main", PASSWORD, username="gazette", weight=7, connections=3, per_hour=100)
    (endpoint,) = relays.usable(db.session(), NEWS, "daily", NOW)
    assert (endpoint.id, endpoint.name, endpoint.host, endpoint.port) == (relay_id, "main", "main.example.org", 587)
    assert (endpoint.tls, endpoint.username, endpoint.password) == (Tls.STARTTLS, "gazette", PASSWORD)
    assert (endpoint.weight, endpoint.connections) == (7, 3)
    assert endpoint.hello
    assert PASSWORD not in repr(endpoint)


def test_who_is_named_goes_first_and_who_is_away_is_left_out(place: Flask) -> None:
    general, special = _add("general"), _add("special", senders=(NEWS,), streams=("daily",))
    _add("spare", weight=0)
    assert _usable() == ["special", "general", "spare"]
    assert _usable(HELLO, CONFIRMATIONS) == ["general", "spare"]
    with transaction() as session:
        watching.trouble(session, special, GONE, NOW)
        relays.disable(session, general, NOW)
    assert _usable() == ["spare"]
    assert _usable(now=NOW + datetime.timedelta(seconds=6)) == ["special", "spare"]
    with transaction() as session:
        relays.enable(session, general, NOW)
        watching.hold(session, general, NOW)
    assert _usable() == ["spare"]


def test_when_none_is_left_it_is_known_when_one_tries_again(place: Flask) -> None:
    first, second = _add("first"), _add("second")
    with transaction() as session:
        watching.trouble(session, first, GONE, NOW)
        watching.hold(session, second, NOW)
    assert _usable() == []
    again = NOW + watching.FIRST_PAUSE
    assert relays.ready_at(db.session(), NEWS, "daily", NOW) == again
    assert relays.ready_at(db.session(), NEWS, "daily", again) == again
    assert "connection refused" in relay_views.why_none(db.session(), NEWS, "daily", NOW)
    with transaction() as session:
        relays.disable(session, first, NOW)
    assert relays.ready_at(db.session(), NEWS, "daily", NOW) is None


def test_mail_that_no_relay_takes_is_named(small: Flask) -> None:
    relay_id = _add("main", streams=("daily",))
    assert relay_views.uncovered(db.session()) == [
        f"No relay takes “Confirmations” from {HELLO}: such mails wait.",
        f"No relay takes “Weekly” from {NEWS}: such mails wait.",
    ]
    assert relay_views.why_none(db.session(), NEWS, "weekly", NOW) == f"No relay takes mail of “weekly” from {NEWS}."
    with transaction() as session:
        relays.disable(session, relay_id, NOW)
    assert relay_views.uncovered(db.session()) == ["Every relay is disabled, so no mail leaves."]


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"name": "  "}, "name", "Give the relay a name"),
        ({"name": "x" * 61}, "name", "at most 60"),
        ({"name": "a\nb"}, "name", "one line"),
        ({"name": "TAKEN"}, "name", "already"),
        ({"host": ""}, "host", "Type the relay's host"),
        ({"host": "smtp://mail.example.org"}, "host", "must be a name"),
        ({"host": "mail.example.org:25"}, "host", "must be a name"),
        ({"host": "127.1"}, "host", "must be a name"),
        ({"host": "mail example"}, "host", "must be a name"),
        ({"host": "a" * 64 + ".org"}, "host", "must be a name"),
        ({"port": 0}, "port", "from 1 to 65,535"),
        ({"port": 65_536}, "port", "from 1 to 65,535"),
        ({"tls": Tls.OPPORTUNISTIC, "username": "me"}, "tls", "could read the password"),
        ({"username": "me\r\nRSET"}, "username", "one line"),
        ({"hello": "mail example"}, "hello", "host name"),
        ({"weight": -1}, "weight", "from 0 to"),
        ({"weight": 10**12}, "weight", "from 0 to"),
        ({"connections": 0}, "connections", "from 1 to"),
        ({"per_second": 0}, "per_second", "from 1 to"),
        ({"per_minute": -5}, "per_minute", "from 1 to"),
        ({"per_hour": 10**15}, "per_hour", "from 1 to"),
        ({"senders": ("other@gazette.example.org",)}, "senders", "no mail from other@gazette.example.org"),
        ({"senders": ("example.org",)}, "senders", "Our senders are"),
        ({"streams": ("hourly",)}, "streams", "no cadence hourly"),
    ],
)
def test_each_mistake_is_told_at_its_field(small: Flask, changes: dict[str, object], field: str, said: str) -> None:
    _add("taken")
    terms = replace(Terms("fresh", "fresh.example.org"), **changes)  # type: ignore[arg-type]
    password = PASSWORD if terms.username else ""
    found = relays.mistakes(db.session(), None, terms, password)
    assert list(found) == [field]
    assert said in found[field]
    with pytest.raises(InvalidError, match=said.replace("(", r"\(")), transaction() as session:
        relays.add(session, terms, password, services().vault, NOW)


@pytest.mark.parametrize("host", ["mail", "MAIL.Example.org.", "192.0.2.7", "2001:db8::7", "_smtp.example.org"])
def test_names_and_addresses_of_hosts_are_taken(small: Flask, host: str) -> None:
    assert relays.mistakes(db.session(), None, Terms("one", host), "") == {}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_on_this_very_host_a_password_needs_no_encryption(small: Flask, host: str) -> None:
    terms = Terms("here", host, tls=Tls.OPPORTUNISTIC, username="me")
    assert relays.mistakes(db.session(), None, terms, PASSWORD) == {}


@pytest.mark.parametrize(
    ("username", "password", "said"),
    [
        ("me", "", "Type the password that belongs"),
        ("", PASSWORD, "Type the user name that belongs"),
        ("me", "a\0b", "one line"),
        ("me", "x" * 1001, "at most 1000"),
    ],
)
def test_user_name_and_password_belong_together(small: Flask, username: str, password: str, said: str) -> None:
    found = relays.mistakes(db.session(), None, replace(MAIN, username=username), password)
    assert said in " ".join(found.values())
    assert password == "" or password not in " ".join(found.values())


def test_a_password_is_sealed_and_stays_when_none_is_typed(place: Flask) -> None:
    relay_id = _add("main", PASSWORD, username="gazette")
    terms = Terms("Main", "main.example.org", username="gazette", weight=3)
    with transaction() as session:
        relays.edit(session, relay_id, terms, "", services().vault, NOW)
    relay = relays.get(db.session(), relay_id)
    assert PASSWORD not in relay.sealed_password
    assert relays.endpoint(db.session(), relay_id).password == PASSWORD
    assert (relay.name, relay.weight) == ("Main", 3)
    with transaction() as session:
        relays.edit(session, relay_id, replace(terms, username=""), "", services().vault, NOW)
    assert relays.get(db.session(), relay_id).sealed_password == ""


@pytest.mark.parametrize(
    "change", [{"host": "evil.example.net"}, {"port": 2525}, {"username": "other"}, {"tls": Tls.IMPLICIT}]
)
def test_a_password_goes_to_no_other_server_than_it_was_typed_for(small: Flask, change: dict[str, object]) -> None:
    relay_id = _add("main", PASSWORD, username="gazette")
    terms = replace(Terms.of(relays.get(db.session(), relay_id)), **change)  # type: ignore[arg-type]
    with pytest.raises(InvalidError, match="Type the password again"), transaction() as session:
        relays.edit(session, relay_id, terms, "", services().vault, NOW)
    with transaction() as session:
        relays.edit(session, relay_id, terms, "another-word", services().vault, NOW)
    assert relays.endpoint(db.session(), relay_id).password == "another-word"


def test_a_relay_whose_password_no_key_opens_is_left_out_and_says_so(small: Flask) -> None:
    relay_id = _add("main", PASSWORD, username="gazette")
    _add("spare", weight=0)
    with transaction() as session:
        relays.get(session, relay_id).sealed_password = "not-a-token"
    assert _usable() == ["spare"]
    assert "Type the password again" in relay_views.one(db.session(), relay_id, NOW).sentence
    assert [view.id for view in relay_views.in_trouble(db.session(), NOW)] == [relay_id]


def test_only_a_relay_that_took_no_mail_can_be_removed(place: Flask) -> None:
    used, unused = _add("used"), _add("unused")
    with transaction() as session:
        watching.well(session, used, NOW)
        watching.trouble(session, unused, GONE, NOW)
        relays.remove(session, unused)
    with pytest.raises(ConflictError, match="Disable it instead"), transaction() as session:
        relays.remove(session, used)
    assert db.session.get(RelayState, unused) is None
    assert _usable() == ["used"]
    for act in (relays.get, relays.remove, relays.endpoint):
        with pytest.raises(NotFoundError):
            act(db.session(), unused)
    with pytest.raises(NotFoundError, match="no relay called"):
        relays.named(db.session(), "unused")
    assert relays.named(db.session(), "used").id == used


def test_a_view_tells_the_state_and_never_the_password(small: Flask) -> None:
    relay_id = _add("main", PASSWORD, username="gazette")
    view = relay_views.one(db.session(), relay_id, NOW)
    assert (view.health, view.sentence) == (Health.READY, "Ready; it has taken no mail yet.")
    assert PASSWORD not in repr(view.as_row()) + repr(view)
    with transaction() as session:
        relays.disable(session, relay_id, NOW)
    assert relay_views.one(db.session(), relay_id, NOW).health is Health.DISABLED
    with pytest.raises(NotFoundError):
        relay_views.one(db.session(), FROM_SETTINGS, NOW)


def test_names_differ_in_the_table_too(small: Flask) -> None:
    assert Relay.__table__.c.name.unique
