"""A publication with three categories, two cadences and one affiliate; and what its visitors and readers do."""

import re
from typing import Any

from flask import Flask
from sqlalchemy import select

from newsletter.audience import cadences, preferences, signup
from newsletter.audience.models import Cadence, Confirmation, ConsentText
from newsletter.content.models import Category
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import Base, db, transaction
from newsletter.foundation.links import Link
from newsletter.foundation.services import services
from newsletter.foundation.tokens import Purpose
from newsletter.publication import affiliates, identity

IDENTITY = identity.Identity(
    name="The Gazette",
    site_url="https://gazette.example.org",
    postal_address="Gazette Ltd, 1 Main Street, Springfield",
    contact_address="letters@gazette.example.org",
    privacy_url="https://gazette.example.org/privacy",
    digest_from="news@gazette.example.org",
    confirmation_from="hello@gazette.example.org",
    timezone="Europe/Berlin",
)
CATEGORIES = ("Business", "Politics", "World")


class Site:
    """Made in the application whose context is pushed."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        with transaction() as session:
            identity.create(session, IDENTITY, utc_now())
            cadences.ensure_defaults(session)
            affiliates.add(session, "acme", "Acme Tours")
            for position, name in enumerate(CATEGORIES):
                session.add(Category(slug=name.lower(), name=name, description="", position=position))
        self.category = {row.slug: row.id for row in db.session().scalars(select(Category))}
        self.cadence = {row.slug: row.id for row in db.session().scalars(select(Cadence))}

    def form(self, **changed: Any) -> dict[str, Any]:
        """Return the fields of a form that was shown five seconds ago and filled in well; None takes one away."""
        self.app.test_client().get("/subscribe")  # the words are stored when they are first shown
        fields = {
            "address": "ada@reader.example.org",
            "name": "Ada",
            "categories": ["business", "world"],
            "cadence": "daily",
            "consent": str(self.text_id("newsletter")),
            "language": "en",
            "timezone": "",
            "form_token": services().tokens.make(Purpose.SIGNUP_FORM, int(utc_now().timestamp()) - 5),
            "website": "",
        }
        return {name: value for name, value in (fields | changed).items() if value is not None}

    def text_id(self, purpose: str, language: str = "en") -> int:
        """Return the id of the words for a purpose."""
        db.session().commit()
        query = select(ConsentText.id).where(ConsentText.purpose == purpose, ConsentText.language == language)
        return db.session().scalars(query.order_by(ConsentText.id.desc())).first() or 0

    def asked(self, address: str = "ada@reader.example.org", **changed: Any) -> int:
        """Sign up through the form, let a worker decide, and return the id of the confirmation."""
        answer = self.app.test_client().post("/subscribe", data=self.form(address=address, **changed))
        assert answer.status_code == 303, answer.text
        with transaction() as session:
            signup.process_waiting(session, services().hasher, utc_now())
        return db.session().scalars(select(Confirmation.id).order_by(Confirmation.id.desc())).first() or 0

    def reader(self, address: str = "ada@reader.example.org", **changed: Any) -> int:
        """Sign up and confirm, and return the subscriber's id."""
        answer = self.app.test_client().post(self.confirm(self.asked(address, **changed)), data={"act": "confirm"})
        assert answer.status_code == 200, answer.text
        db.session().commit()
        return db.session().scalars(select(Confirmation.subscriber_id).order_by(Confirmation.id.desc())).first() or 0

    def confirm(self, confirmation_id: int) -> str:
        """Return the path behind the button of the confirmation mail."""
        return f"/confirm/{services().tokens.make(Purpose.CONFIRM, confirmation_id)}"

    def not_me(self, confirmation_id: int) -> str:
        """Return the path behind "this wasn't me"."""
        return f"/not-me/{services().tokens.make(Purpose.NOT_ME, confirmation_id)}"

    def link(self, link: Link, subscriber_id: int, cadence: str = "daily", delivery_id: int = 7) -> str:
        """Return the path of a link in a digest."""
        return f"/{link.value}/{services().links.token(link, subscriber_id, self.cadence[cadence], delivery_id)}"

    def choices(self, subscriber_id: int) -> dict[str, str]:
        """Return what a reader gets: category to cadence, by their slugs."""
        db.session().commit()
        topics = {id_: slug for slug, id_ in self.category.items()}
        paces = {id_: slug for slug, id_ in self.cadence.items()}
        held = preferences.look(db.session(), subscriber_id).choices
        return {topics[category]: paces[cadence] for category, cadence in held.items()}


def everything() -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table."""
    db.session().commit()
    connection = db.session().connection()
    return {
        table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
        for table in Base.metadata.sorted_tables
    }


def field(page: str, name: str) -> str:
    """Return the value of the first hidden field called `name`."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, page
    return found[1]
