"""The publication: judged field by field, one row, and nothing that filters and providers know it by ever changes."""

import pytest
from flask import Flask
from sqlalchemy import func, select

from newsletter.foundation.db import db, transaction
from newsletter.foundation.errors import ConflictError, InvalidError, NotFoundError
from newsletter.publication import affiliates, checks, identity
from newsletter.publication.identity import Identity
from newsletter.publication.models import Publication
from tests.conftest import NOW

WHOLE = Identity(
    name="The Gazette",
    site_url="https://example.org",
    postal_address="Gazette Ltd\r\n1 High Street\r\nExampleton ",
    contact_address="editor@example.org",
    privacy_url="https://example.org/privacy",
    digest_from="news@mail.example.org",
    confirmation_from="hello@mail.example.org",
)


def create(given: Identity = WHOLE) -> Identity:
    with transaction() as session:
        return identity.create(session, given, NOW)


def update(**changes: str) -> Identity:
    with transaction() as session:
        return identity.update(session, NOW, **changes)


def test_before_there_is_one_the_error_says_what_to_do(app: Flask) -> None:
    with pytest.raises(NotFoundError, match="newsletter init"):
        identity.load(db.session())


def test_what_filters_know_it_by_is_made_at_the_beginning(app_on_each: Flask) -> None:
    made = create()
    assert made == identity.load(db.session())
    assert (made.list_domain, made.sender_id) == ("mail.example.org", "thegazette")
    assert made.postal_address == "Gazette Ltd\n1 High Street\nExampleton"
    assert identity.problems(made) == []


def test_there_is_only_one(app_on_each: Flask) -> None:
    create()
    with pytest.raises(InvalidError, match="already"):
        create()
    assert db.session().scalar(select(func.count(Publication.id))) == 1


def test_a_change_of_sender_leaves_the_list_where_it_was(app: Flask) -> None:
    create()
    after = update(digest_from="news@elsewhere.example")
    assert after.list_domain == "mail.example.org"
    for change in ({"list_domain": "lists.example.org"}, {"list_domain": ""}, {"sender_id": "another"}):
        with pytest.raises(InvalidError, match="never changes"):
            update(**change)
    assert identity.load(db.session()) == after


def test_one_mistake_keeps_all_changes_out_and_every_mistake_is_named(app: Flask) -> None:
    before = create()
    with pytest.raises(InvalidError) as caught:
        update(postal_address="New", contact_address="nobody", timezone="Mars/Olympus", accent_light="#ffff00")
    assert len(str(caught.value).splitlines()) == 3
    assert identity.load(db.session()) == before
    with pytest.raises(InvalidError, match="colour"):
        update(colour="red")


@pytest.mark.parametrize(
    "field", ["postal_address", "contact_address", "privacy_url", "digest_from", "confirmation_from"]
)
def test_sending_does_not_start_while_something_that_law_asks_for_is_missing(app: Flask, field: str) -> None:
    create()
    assert len(identity.problems(update(**{field: "  "}))) == 1


def test_digests_and_confirmations_have_two_senders(app: Flask) -> None:
    create()
    with pytest.raises(InvalidError, match="two different"):
        update(confirmation_from="News@mail.example.org")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "!!!",
        "(2)",
        "Gazette (2)",
        "[News] Alert",
        "gazette@gmail.com",
        "Gazette gmail.com",
        "Re: Gazette",
        "FWD: Gazette",
        "Gazette 📰",
        "✔ Gazette",
        "Gaz\u202eette",
        "Gaz\u200bette",
        "Gazette\r\nBcc: x",
        "G" * 65,
    ],
)
def test_names_that_providers_take_for_tricks_are_refused(name: str) -> None:
    assert checks.display_name(name)


@pytest.mark.parametrize(
    "name", ["The Gazette", "Süddeutsche", "Le Monde – Éco", "الأهرام", "A&B Weekly", "Reporter", "20 Minuten"]
)
def test_names_of_papers_are_fine(name: str) -> None:
    assert checks.display_name(name) is None


@pytest.mark.parametrize(
    ("address", "fine"),
    [
        ("news@example.org", True),
        ("jörg@example.org", False),
        ("news@exämple.de", False),
        ("News <news@example.org>", False),
        ("news@localhost", False),
        ("news@example.org\r\nBcc: x@example.org", False),
    ],
)
def test_senders_are_addresses_that_every_relay_takes(address: str, fine: bool) -> None:
    assert (checks.mailbox("The sender", address) is None) == fine


@pytest.mark.parametrize(
    "url", ["", "example.org", "javascript:alert(1)", "https://", 'https://x" onclick="', "https://[::1"]
)
def test_addresses_of_pages_lead_to_pages(url: str) -> None:
    assert checks.web_address("It", url)


def test_contrast_is_what_wcag_says() -> None:
    assert checks.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert checks.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert checks.accent("It", "#777777", "#ffffff")
    assert checks.accent("It", "#767676", "#ffffff") is None
    assert checks.accent("It", "red", "#ffffff")
    assert checks.accent("It", Identity("x", "y").accent_light, checks.PAPER_LIGHT) is None
    assert checks.accent("It", Identity("x", "y").accent_dark, checks.PAPER_DARK) is None


@pytest.mark.parametrize("name", ["The Gazette", "X", "الأهرام", "Zeitung für Äpfel & mehr, Ausgabe Süd"])
def test_a_sender_id_can_be_made_of_any_name(name: str) -> None:
    assert checks.sender_id(checks.sender_id_for(name)) is None


def test_affiliates_keep_their_slug_for_ever(app_on_each: Flask) -> None:
    with transaction() as session:
        affiliates.add(session, "acme", " Acme \n Books ")
        affiliates.add(session, "beta", "Beta")
        affiliates.rename(session, "acme", "Zacme")
        assert [one.name for one in affiliates.listed(session)] == ["Beta", "Zacme"]
        affiliates.archive(session, "acme", NOW)
        assert [one.name for one in affiliates.listed(session)] == ["Beta"]
    with pytest.raises(ConflictError), transaction() as session:
        affiliates.add(session, "acme", "Another")
    with pytest.raises(NotFoundError), transaction() as session:
        affiliates.rename(session, "nobody", "X")
    for slug, name in (("Upper", "X"), ("a b", "X"), ("ok", ""), ("ok", "x" * 121)):
        with pytest.raises(InvalidError), transaction() as session:
            affiliates.add(session, slug, name)
