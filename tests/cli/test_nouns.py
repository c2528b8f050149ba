"""Each noun of the command does what it says, for people and for programs."""

import csv
import io

import pytest

from newsletter.cli.deliveries import inert
from newsletter.delivery.models import Delivery, DeliveryState, Mailing
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.operators import accounts, passwords
from tests.cli.conftest import Command


def test_an_operator_is_made_with_a_password_from_standard_input(newsletter_command: Command) -> None:
    newsletter_command.run("operators", "add", "Ada", "--password-stdin", typed="four plain words together\n")
    stored = accounts.named(db.session(), "ada").password_hash
    assert passwords.matches(stored, "four plain words together")
    assert [one["login"] for one in newsletter_command.json("operators", "list")] == ["ada"]


def test_a_generated_password_is_shown_once_and_works(newsletter_command: Command) -> None:
    made = newsletter_command.json("operators", "add", "ada", "--generate")
    assert passwords.matches(accounts.named(db.session(), "ada").password_hash, made["password"])
    again = newsletter_command.json("operators", "password", "ada", "--generate")
    db.session.expire_all()
    assert not passwords.matches(accounts.named(db.session(), "ada").password_hash, made["password"])
    assert passwords.matches(accounts.named(db.session(), "ada").password_hash, again["password"])


def test_an_error_is_one_sentence_and_no_traceback(newsletter_command: Command) -> None:
    result = newsletter_command.run("operators", "add", "ada", "--password-stdin", status=1, typed="short\n")
    assert result.stderr.startswith("newsletter: The password needs at least 12 characters.")
    assert result.stdout == ""
    assert "Traceback" not in result.output


def test_the_publication_changes_whole_or_not_at_all(newsletter_command: Command) -> None:
    newsletter_command.run("publication", "set", "name=The Herald", "contact_address=nonsense", status=1)
    assert newsletter_command.json("publication", "show")["name"] == "The Gazette"
    newsletter_command.run("publication", "set", "name=The Herald", "contact_address=desk@herald.example")
    shown = newsletter_command.json("publication", "show")
    assert (shown["name"], shown["contact_address"], shown["problems"]) == ("The Herald", "desk@herald.example", [])
    assert "fields are name" in newsletter_command.run("publication", "set", "nmae=x", status=2).stderr


def test_categories_are_added_ordered_changed_and_archived(newsletter_command: Command) -> None:
    for name in ("Business", "Politics", "World"):
        newsletter_command.run("categories", "add", name)
    newsletter_command.run("categories", "order", "world", "business")
    newsletter_command.run("categories", "change", "world", "--name", "The World", "--url", "https://gazette.example/w")
    newsletter_command.run("categories", "archive", "politics")
    assert [one["slug"] for one in newsletter_command.json("categories", "list")] == ["world", "business"]
    everything = newsletter_command.json("categories", "list", "--archived")
    assert everything[0]["name"] == "The World"
    assert everything[2]["archived_at"] is not None
    newsletter_command.run("categories", "restore", "politics")
    assert len(newsletter_command.json("categories", "list")) == 3
    assert "already" in newsletter_command.run("categories", "add", "World", status=1).stderr


def test_affiliates_are_offered_and_archived(newsletter_command: Command) -> None:
    newsletter_command.run("affiliates", "add", "acme", "Acme Books Ltd")
    assert newsletter_command.json("affiliates", "list") == [{"slug": "acme", "name": "Acme Books Ltd"}]
    newsletter_command.run("affiliates", "archive", "acme")
    assert newsletter_command.json("affiliates", "list") == []


def test_empty_lists_say_the_next_step(newsletter_command: Command) -> None:
    for noun, step in (
        ("operators", "newsletter operators add"),
        ("categories", "newsletter categories add"),
        ("affiliates", "newsletter affiliates add"),
        ("subscribers", "sign-up page"),
        ("runs", "newsletter digests send"),
    ):
        assert step in newsletter_command.run(noun, "list").stdout
        assert newsletter_command.json(noun, "list") == []


def test_subscribers_are_listed_by_page_and_shown_with_their_consents(seeded: Command) -> None:
    first = seeded.json("subscribers", "list", "--limit", "40")
    rest = seeded.json("subscribers", "list", "--limit", "40", "--after", first[-1]["cursor"])
    assert len({row["address"] for row in first + rest}) == 60
    one = seeded.json("subscribers", "show", "READER-7@readers.example")
    assert one["generated"] is True
    assert {row["state"] for row in one["subscriptions"]} == {"active"}
    assert [row["act"] for row in one["consents"]] == ["given", "confirmed"]
    assert "There is no subscriber" in seeded.run("subscribers", "show", "nobody@example.org", status=1).stderr


def test_a_digest_is_seen_before_it_is_sent(seeded: Command) -> None:
    seen = seeded.json("digests", "preview", "daily")
    assert seen["forecast"]["articles"] == 9
    assert seen["forecast"]["readers"] > 30
    assert "<html" in seen["html"]
    text = seeded.run("digests", "preview", "daily", "--text").stdout
    assert "The Gazette" in text
    assert "There is no reader" in seeded.run("digests", "preview", "daily", "--as", "x@example.org", status=1).stderr


def test_sending_asks_first_and_makes_one_run(seeded: Command) -> None:
    asked = seeded.run("digests", "send", "daily", status=1, typed="n\n")
    assert "Send “Daily” to" in asked.stderr
    assert seeded.json("runs", "list") == []
    sent = seeded.json("digests", "send", "daily", "--yes")
    assert sent["new"] is True
    (run,) = seeded.json("runs", "list")
    assert run["readers"] == sent["readers"] == sum(run["deliveries"].values()) == run["deliveries"]["planned"]
    assert run["state"] == "sending"
    again = seeded.json("digests", "send", "daily", "--yes")
    assert (again["state"], again["skip_reason"]) == ("skipped", "nothing_new")


def test_a_run_is_paused_resumed_and_cancelled(seeded: Command) -> None:
    run = str(seeded.json("digests", "send", "daily", "--yes")["run"])
    seeded.run("runs", "pause", run)
    assert seeded.json("runs", "show", run)["state"] == "paused"
    seeded.run("runs", "resume", run)
    assert seeded.json("runs", "show", run)["state"] == "sending"
    seeded.run("runs", "cancel", run, "--yes")
    shown = seeded.json("runs", "show", run)
    assert shown["state"] == "cancelled"
    assert shown["deliveries"]["skipped"] == shown["readers"]
    assert "already" in seeded.run("runs", "cancel", run, "--yes", status=1).stderr


def test_unknown_deliveries_are_left_or_resent(seeded: Command) -> None:
    seeded.run("digests", "send", "daily", "--yes")
    with transaction() as session:
        chosen = session.query(Delivery).order_by(Delivery.id).limit(3).all()
        for delivery in chosen:
            delivery.state, delivery.attempts, delivery.unknown_at = DeliveryState.UNKNOWN, 1, utc_now()
        mailing = session.query(Mailing).one()
        mailing.planned, mailing.unknown = mailing.planned - 3, 3
        first, second, third = (str(delivery.id) for delivery in chosen)
    assert seeded.json("deliveries", "settle", first, "--as", "leave")["settled"] == 1
    assert seeded.json("deliveries", "settle", second, "--as", "resend")["settled"] == 1
    assert seeded.json("deliveries", "settle", "--all", "--as", "resend")["settled"] == 1
    seeded.run("deliveries", "settle", first, "--as", "resend", status=1)
    seeded.run("deliveries", "settle", "--as", "leave", status=2)
    states = {row["id"]: row["state"] for row in seeded.json("deliveries", "list", "--limit", "1000")}
    assert (states[int(first)], states[int(third)]) == ("unknown", "planned")


def test_deliveries_are_exported_whole_and_without_formulas(seeded: Command) -> None:
    sent = seeded.json("digests", "send", "daily", "--yes")
    with transaction() as session:
        delivery = session.query(Delivery).order_by(Delivery.id).first()
        assert delivery is not None
        delivery.reply_text = '=HYPERLINK("http://evil.example")'
    lines = list(csv.DictReader(io.StringIO(seeded.run("deliveries", "export").stdout)))
    assert len(lines) == sent["readers"]
    assert lines[0]["reply_text"].startswith("'=HYPERLINK")
    assert lines[0]["address"].endswith("@readers.example")
    raw = list(csv.DictReader(io.StringIO(seeded.run("deliveries", "export", "--raw").stdout)))
    assert raw[0]["reply_text"].startswith("=HYPERLINK")
    assert list(csv.DictReader(io.StringIO(seeded.run("deliveries", "export", "--state", "failed").stdout))) == []


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", ' "=1', "＝1", "＋1", "－1", "＠x"])
def test_no_cell_is_a_formula(cell: str) -> None:
    assert inert(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "plain", "ada@example.org", "5.1.1 unknown", "a=b"])
def test_a_cell_that_is_none_stays_as_it_is(cell: str) -> None:
    assert inert(cell) == cell
