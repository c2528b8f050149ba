"""The preferences page: only the link says whose it is."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from newsletter.audience.models import Consent, ConsentAct, Subscriber
from newsletter.content.models import Category
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.links import Link
from newsletter.publication import affiliates
from tests.web.site import Site, everything, field


def subscriber(reader: int) -> Subscriber:
    db.session().commit()
    return db.session().get_one(Subscriber, reader, populate_existing=True)


def test_choices_are_saved_and_can_be_taken_back(site_on_each: Site) -> None:
    site, visitor = site_on_each, site_on_each.app.test_client()
    reader = site.reader()
    path = site.link(Link.PREFERENCES, reader)
    fields = {
        "act": "save",
        "category-business": "",
        "category-politics": "weekly",
        "category-world": "daily",
        "name": "  Ada  Lovelace ",
        "language": "de",
        "timezone": "America/New_York",
    }
    saved = visitor.post(path, data=fields)
    assert saved.status_code == 200
    assert '<html class="newspaper" lang="de"' in saved.text
    assert site.choices(reader) == {"politics": "weekly", "world": "daily"}
    one = subscriber(reader)
    assert (one.name, one.language, one.timezone) == ("Ada Lovelace", "de", "America/New_York")
    visitor.post(path, data={"act": "undo", "undo_token": field(saved.text, "undo_token")})
    assert site.choices(reader) == {"business": "daily", "world": "daily"}


def test_fields_that_were_not_sent_stay_as_they_are(site: Site, visitor: FlaskClient) -> None:
    reader = site.reader(name="Ada", timezone="Asia/Tokyo")
    visitor.post(site.link(Link.PREFERENCES, reader), data={"act": "save", "category-world": ""})
    assert site.choices(reader) == {"business": "daily"}
    assert (subscriber(reader).name, subscriber(reader).timezone) == ("Ada", "Asia/Tokyo")


def test_saving_what_is_held_already_stores_nothing(site: Site, visitor: FlaskClient) -> None:
    path = site.link(Link.PREFERENCES, site.reader())
    visitor.get(path)
    before = everything()
    assert visitor.post(path, data={"act": "save"}).status_code == 200
    assert everything() == before


def test_choosing_nothing_is_leaving_and_coming_back_needs_a_new_sign_up(site: Site, visitor: FlaskClient) -> None:
    reader = site.reader()
    path = site.link(Link.PREFERENCES, reader)
    saved = visitor.post(path, data={"act": "save", "category-world": "", "category-business": ""})
    assert site.choices(reader) == {}
    refused = visitor.post(path, data={"act": "save", "category-world": "daily"})
    assert refused.status_code == 409
    assert "please sign up again" in refused.text
    assert site.choices(reader) == {}
    visitor.post(path, data={"act": "undo", "undo_token": field(saved.text, "undo_token")})
    assert site.choices(reader) == {"business": "daily", "world": "daily"}


def test_a_category_that_is_offered_no_more_can_still_be_dropped(site: Site, visitor: FlaskClient) -> None:
    reader = site.reader()
    path = site.link(Link.PREFERENCES, reader)
    with transaction() as session:
        for slug in ("world", "politics"):
            session.scalars(select(Category).where(Category.slug == slug)).one().archived_at = utc_now()
    page = visitor.get(path).text
    assert "category-world" in page
    assert "category-politics" not in page
    visitor.post(path, data={"act": "save", "category-world": "", "category-politics": "daily"})
    assert site.choices(reader) == {"business": "daily"}


def test_pausing_and_going_on(site: Site, visitor: FlaskClient) -> None:
    reader = site.reader()
    path = site.link(Link.PREFERENCES, reader)
    assert "They go on after" in visitor.post(path, data={"act": "pause", "weeks": "4"}).text
    assert subscriber(reader).paused_until
    assert "Your mails go on" in visitor.post(path, data={"act": "resume"}).text
    assert subscriber(reader).paused_at is None
    assert "They go on when you say so" in visitor.post(path, data={"act": "pause", "weeks": "0"}).text
    assert (subscriber(reader).paused_at is None, subscriber(reader).paused_until) == (False, None)


def acts(reader: int, purpose: str) -> list[ConsentAct]:
    db.session().commit()
    query = select(Consent.act).where(Consent.subscriber_id == reader, Consent.purpose == purpose).order_by(Consent.id)
    return list(db.session().scalars(query))


def test_consent_to_a_partner_is_given_and_taken_back_with_one_button_each(site: Site, visitor: FlaskClient) -> None:
    reader = site.reader()
    path = site.link(Link.PREFERENCES, reader)
    text = field(visitor.get(path).text, "text")
    assert "You agreed to this on" in visitor.post(path, data={"act": "agree", "text": text}).text
    visitor.post(path, data={"act": "agree", "text": text})
    assert acts(reader, "affiliate:acme") == [ConsentAct.GIVEN, ConsentAct.CONFIRMED]
    assert "You have not agreed" in visitor.post(path, data={"act": "withdraw", "affiliate": "acme"}).text
    visitor.post(path, data={"act": "withdraw", "affiliate": "acme"})
    assert acts(reader, "affiliate:acme")[2:] == [ConsentAct.WITHDRAWN]
    assert site.choices(reader) == {"business": "daily", "world": "daily"}, "the newsletter is the same without"


def test_consent_to_a_partner_that_is_gone_can_still_be_taken_back(site: Site, visitor: FlaskClient) -> None:
    reader = site.reader()
    path = site.link(Link.PREFERENCES, reader)
    text = field(visitor.get(path).text, "text")
    visitor.post(path, data={"act": "agree", "text": text})
    with transaction() as session:
        affiliates.archive(session, "acme", utc_now())
    assert "Take it back: Acme Tours" in visitor.get(path).text
    visitor.post(path, data={"act": "withdraw", "affiliate": "acme"})
    assert "Acme Tours" not in visitor.get(path).text
    assert visitor.post(path, data={"act": "agree", "text": text}).status_code == 422


def test_only_a_partners_words_can_be_agreed_to_here(site: Site, visitor: FlaskClient) -> None:
    reader = site.reader()
    path = site.link(Link.PREFERENCES, reader)
    for text in (str(site.text_id("newsletter")), "0", "9" * 30, "\0", ""):
        assert visitor.post(path, data={"act": "agree", "text": text}).status_code == 422
    assert acts(reader, "newsletter") == [ConsentAct.GIVEN, ConsentAct.CONFIRMED]


def test_leaving_everything_takes_back_every_consent(site: Site, visitor: FlaskClient) -> None:
    reader = site.reader()
    path = site.link(Link.PREFERENCES, reader)
    visitor.post(path, data={"act": "agree", "text": field(visitor.get(path).text, "text")})
    visitor.post(path, data={"act": "leave_all"})
    assert site.choices(reader) == {}
    assert acts(reader, "newsletter")[-1] is ConsentAct.WITHDRAWN
    assert acts(reader, "affiliate:acme")[-1] is ConsentAct.WITHDRAWN


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"category-world": "hourly"}, "category-world"),
        ({"category-world": "\0"}, "category-world"),
        ({"name": "x" * 121}, "name"),
        ({"name": "x" * 300_000}, "name"),
        ({"language": "xx"}, "language"),
        ({"timezone": "../UTC"}, "timezone"),
        ({"timezone": ["Nowhere", "Asia/Tokyo"]}, "timezone"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_saved(
    site: Site, visitor: FlaskClient, fields: dict[str, Any], where: str
) -> None:
    path = site.link(Link.PREFERENCES, site.reader())
    visitor.get(path)
    before = everything()
    answer = visitor.post(path, data={"act": "save", "category-business": "weekly"} | fields)
    assert answer.status_code == 422
    assert f'href="#{where}"' in answer.text
    assert everything() == before


def test_what_the_page_does_not_offer_changes_nothing(site: Site, visitor: FlaskClient) -> None:
    path = site.link(Link.PREFERENCES, site.reader())
    before = everything()
    for fields in [{}, {"act": "erase"}, {"act": "pause", "weeks": "-1"}, {"act": "pause"}]:
        answer = visitor.post(path, data=fields)
        assert answer.status_code == 422
    assert everything() == before


def test_fields_that_name_somebody_else_are_not_read(site: Site, visitor: FlaskClient) -> None:
    ada, eve = site.reader(), site.reader("eve@reader.example.org")
    others = {"subscriber_id": str(ada), "id": str(ada), "address": "ada@reader.example.org"}
    visitor.post(f"{site.link(Link.PREFERENCES, eve)}?subscriber_id={ada}", data={"act": "leave_all"} | others)
    assert site.choices(ada) == {"business": "daily", "world": "daily"}
    assert site.choices(eve) == {}


def test_the_page_shows_no_whole_address(site: Site, visitor: FlaskClient) -> None:
    page = visitor.get(site.link(Link.PREFERENCES, site.reader())).text
    assert "a•••@r•••.org" in page
    assert "ada@" not in page


def test_markup_in_a_name_stays_text(site: Site, visitor: FlaskClient) -> None:
    path = site.link(Link.PREFERENCES, site.reader(name='"><script>alert(1)</script>'))
    page = visitor.get(path).text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
