"""A pressed button shows that the mail arrived: an unknown delivery is closed by it, and by nothing less."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import delete, select

from newsletter.audience.models import Consent, Subscriber
from newsletter.delivery import planning
from newsletter.delivery.models import Chunk, Delivery, DeliveryState, Mailing, MailingKind, MailingState
from newsletter.delivery.settling import count
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.links import Link
from newsletter.foundation.services import services
from tests.delivery.world import states
from tests.web.site import Site

ACTS: dict[Link, dict[str, str]] = {
    Link.ONE_CLICK: {"List-Unsubscribe": "One-Click"},
    Link.LEAVE: {"act": "pause", "weeks": "2"},
    Link.PREFERENCES: {"act": "save"},
}


def _unknown(subscriber_id: int, confirmation_id: int | None = None) -> int:
    """Return the id of a delivery to the reader whose reply was never read."""
    with transaction() as session:
        mailing = Mailing(
            kind=MailingKind.CONFIRMATIONS,
            state=MailingState.SENDING,
            stamp="s",
            created_at=utc_now(),
            give_up_at=utc_now() + planning.GIVE_UP[MailingKind.CONFIRMATIONS],
            planned=1,
        )
        session.add(mailing)
        session.flush()
        one = Delivery(
            mailing_id=mailing.id, chunk_id=0, subscriber_id=subscriber_id, confirmation_id=confirmation_id, attempts=0
        )
        session.add(one)
        session.flush()
        one.state, one.unknown_at = DeliveryState.UNKNOWN, utc_now()
        session.flush()
        count(session, {(mailing.id, DeliveryState.PLANNED, DeliveryState.UNKNOWN): 1})
        session.execute(delete(Chunk))
        return one.id


@pytest.mark.parametrize("link", ACTS)
def test_a_press_closes_the_delivery_whose_mail_led_here(site_on_each: Site, link: Link) -> None:
    site = site_on_each
    reader = site.reader()
    with transaction() as session:
        session.execute(delete(Delivery))
        session.execute(delete(Chunk))
        session.execute(delete(Mailing))
    mine, other = _unknown(reader), _unknown(reader)
    path = site.link(link, reader, delivery_id=mine)
    visitor = site.app.test_client()
    assert visitor.get(path).status_code == 200
    assert states(db.session()) == {"unknown": 2}  # programs open every link
    for _ in range(2):
        assert visitor.post(path, data=ACTS[link]).status_code == 200
        assert states(db.session()) == {"accepted": 1, "unknown": 1}
    db.session.commit()
    assert "acted on a link" in (db.session.get_one(Delivery, mine, populate_existing=True).reply_text or "")
    assert db.session.get_one(Delivery, other, populate_existing=True).state is DeliveryState.UNKNOWN


def test_a_token_that_was_tampered_with_closes_nothing(site: Site) -> None:
    reader = site.reader()
    path = site.link(Link.ONE_CLICK, reader, delivery_id=_unknown(reader))
    assert site.app.test_client().post(path[:-2] + ("AA" if path[-2:] != "AA" else "BB")).status_code == 404
    assert states(db.session()).get("unknown") == 1


def test_one_click_of_an_erased_reader_is_evidence_still(site: Site) -> None:
    reader = site.reader()
    path = site.link(Link.ONE_CLICK, reader, delivery_id=_unknown(reader))
    with transaction() as session:
        session.execute(delete(Consent))
        session.execute(delete(Subscriber))
    assert site.app.test_client().post(path).status_code == 200
    assert states(db.session()).get("unknown") is None


def test_preferences_from_no_mail_are_evidence_of_none(site: Site) -> None:
    reader = site.reader()
    _unknown(reader)
    path = f"/preferences/{services().links.token(Link.PREFERENCES, reader, 0, 0)}"
    assert site.app.test_client().post(path, data={"act": "save"}).status_code == 200
    assert states(db.session()).get("unknown") == 1


@pytest.mark.parametrize("button", [Site.confirm, Site.not_me])
def test_a_press_in_a_confirmation_mail_closes_it(site: Site, button: Callable[[Site, int], str]) -> None:
    confirmation = site.asked()
    reader = db.session.scalars(select(Subscriber.id)).one()
    _unknown(reader, confirmation)
    visitor = site.app.test_client()
    path = button(site, confirmation)
    visitor.get(path)
    assert states(db.session()).get("unknown") == 1
    assert visitor.post(path, data={"act": "confirm"}).status_code == 200
    assert states(db.session()).get("unknown") is None


def test_pages_work_where_nothing_is_unknown(app: Flask) -> None:
    site = Site(app)
    assert site.app.test_client().post(site.link(Link.ONE_CLICK, site.reader())).status_code == 200
