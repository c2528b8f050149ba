"""Operators' limits for groups of mail hosts, and what is slowed down: acts on both databases."""

import datetime

import pytest
from flask import Flask
from sqlalchemy import select, update

from newsletter.audience.models import Subscriber
from newsletter.delivery import hosts, lines, slowdowns
from newsletter.delivery.host_limits import host_limits, remove_host_limit, set_host_limit
from newsletter.delivery.models import Delivery, DeliveryState, HostLimit, MailHost, Slowdown
from newsletter.foundation.db import db, transaction
from newsletter.foundation.errors import InvalidError, NotFoundError
from tests.conftest import NOW
from tests.delivery import world

MINUTE = datetime.timedelta(minutes=1)


def test_a_limit_is_set_changed_and_removed(app_on_each: Flask) -> None:
    with transaction() as session:
        set_host_limit(session, " Google.com. ", NOW, per_second=20, connections=4)
        set_host_limit(session, "outlook.com", NOW, per_hour=500)
    with transaction() as session:
        set_host_limit(session, "google.com", NOW, per_minute=600)
    google, outlook = host_limits(db.session())
    assert (google.host_group, google.per_second, google.per_minute, google.connections) == (
        "google.com",
        None,
        600,
        None,
    )
    assert outlook.per_hour == 500
    with transaction() as session:
        remove_host_limit(session, "google.com", NOW)
    assert [one.host_group for one in host_limits(db.session())] == ["outlook.com"]
    with pytest.raises(NotFoundError, match="no limit for google"), transaction() as session:
        remove_host_limit(session, "google.com", NOW)


def test_a_limit_for_a_domain_is_its_groups(app_on_each: Flask) -> None:
    with transaction() as session:
        session.add(MailHost(domain="gmail.com", host_group="google.com", looked_up_at=NOW))
        set_host_limit(session, "gmail.com", NOW, per_second=20)
    assert db.session.scalars(select(HostLimit.host_group)).all() == ["google.com"]


@pytest.mark.parametrize(
    ("group", "numbers", "says"),
    [
        ("", {"per_hour": 5}, "Type a group"),
        ("google", {"per_hour": 5}, "Type a group"),
        ("goo gle.com", {"per_hour": 5}, "Type a group"),
        ("google.com\r\nBcc: x", {"per_hour": 5}, "Type a group"),
        ("a" * 64 + ".com", {"per_hour": 5}, "Type a group"),
        ("a." * 150 + "com", {"per_hour": 5}, "Type a group"),
        ("me@google.com", {"per_hour": 5}, "Type a group"),
        ("google.com", {}, "at least one limit"),
        ("google.com", {"per_hour": 0}, "The limit per hour must be a whole number from 1 to"),
        ("google.com", {"per_second": -3}, "The limit per second must"),
        ("google.com", {"per_minute": 10**12}, "The limit per minute must"),
        ("google.com", {"connections": 10**6}, "The number of connections must"),
    ],
)
def test_what_cannot_be_a_limit_is_refused_in_words(app: Flask, group: str, numbers: dict[str, int], says: str) -> None:
    with pytest.raises(InvalidError, match=says), transaction() as session:
        set_host_limit(session, group, NOW, **numbers)


def test_setting_a_limit_has_the_readers_domains_looked_up(app_on_each: Flask) -> None:
    world.build(3)
    with transaction() as session:
        session.execute(update(Subscriber).where(Subscriber.id == 2).values(address="r2@another.example"))
        session.execute(update(Subscriber).where(Subscriber.id == 8).values(address="r8@unconfirmed.example"))
        hosts.note(session, {}, NOW)
        session.add(MailHost(domain="example.org", host_group="known.example", looked_up_at=NOW))
        set_host_limit(session, "google.com", NOW, per_second=1)
    assert hosts.due(db.session(), NOW, 10) == ["another.example"]
    assert hosts.groups_of(db.session(), ["example.org", "no.example"]) == {"example.org": "known.example"}


def test_who_waits_for_a_limit_asks_again_when_limits_change(app_on_each: Flask) -> None:
    world.build(4)
    world.start()
    later = NOW + 60 * MINUTE
    with transaction() as session:
        ids = session.scalars(select(Delivery.id).order_by(Delivery.id)).all()
        session.execute(update(Delivery).values(state=DeliveryState.DEFERRED, retry_at=later))
        session.execute(update(Delivery).where(Delivery.id == ids[0]).values(reply_code=451))
        session.execute(update(Delivery).where(Delivery.id == ids[1]).values(state=DeliveryState.PLANNED))
    assert lines.last_waits_until(db.session()) == lines.to_microseconds(later)
    with transaction() as session:
        set_host_limit(session, "google.com", NOW, per_second=1)
        assert lines.begun(session) == lines.to_microseconds(NOW)
    when = {row.id: row.retry_at for row in db.session.execute(select(Delivery.id, Delivery.retry_at))}
    assert when == {ids[0]: later, ids[1]: later, ids[2]: NOW, ids[3]: NOW}
    assert lines.to_datetime(lines.to_microseconds(NOW)) == NOW


def test_operators_see_what_is_slowed_down_and_clear_it(app_on_each: Flask) -> None:
    with transaction() as session:
        session.add(Slowdown(key="relay:0", share=0.25, because="421 busy", changed_at=NOW))
        session.add(Slowdown(key="hosts:google.com", share=0.2, stopped_until=NOW + 10 * MINUTE, changed_at=NOW))
    stopped, slowed = slowdowns.slowdowns(db.session(), NOW)
    assert (stopped.name, stopped.stopped_until) == ("google.com", NOW + 10 * MINUTE)
    assert stopped.what == "Nothing goes there until 06:40 UTC; then it goes on slowly."
    assert (slowed.name, slowed.because) == ("relay of the settings", "421 busy")
    assert slowed.what.startswith("At 25 % of its speed; ")
    resumed = slowdowns.slowdowns(db.session(), NOW + 11 * MINUTE)
    assert all(one.stopped_until is None for one in resumed)
    with transaction() as session:
        slowdowns.clear_slowdown(session, "hosts:google.com", NOW)
    assert [one.key for one in slowdowns.slowdowns(db.session(), NOW)] == ["relay:0"]
    with pytest.raises(NotFoundError, match="not slowed down"), transaction() as session:
        slowdowns.clear_slowdown(session, "hosts:google.com", NOW)
