"""`newsletter relays` and what `newsletter runs` does to a run under way."""

import pytest

from newsletter.delivery import relays
from newsletter.delivery.models import Delivery, DeliveryState, Mailing, Reason
from newsletter.delivery.replies import Failure
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from tests.cli.conftest import Command
from tests.delivery.sink import Sink

WORD = "h1dden-from-everybody"


def test_a_relay_is_added_edited_and_listed_without_its_password(newsletter_command: Command) -> None:
    run = newsletter_command.run
    made = run(
        "relays", "add", "main", "mail.example.org", "--username", "me", "--weight", "0", "--per-hour", "100",
        "--stream", "daily", "--password-stdin", "--json", typed=f"{WORD}\n",
    )  # fmt: skip
    assert WORD not in made.output
    assert relays.endpoint(db.session(), relays.named(db.session(), "main").id).password == WORD
    (shown,) = newsletter_command.json("relays", "list")
    assert (shown["weight"], shown["per_hour"], shown["streams"], shown["state"]) == (0, 100, ["daily"], "ready")
    assert "No relay takes “Confirmations”" in run("relays", "list").stderr
    run("relays", "edit", "main", "--name", "first", "--per-hour", "0", "--all-streams", "--weight", "4")
    (shown,) = newsletter_command.json("relays", "list")
    assert (shown["name"], shown["weight"], shown["per_hour"], shown["streams"]) == ("first", 4, None, [])
    db.session.expire_all()
    assert relays.endpoint(db.session(), 1).password == WORD
    assert "Password" in run("relays", "edit", "first", "--port", "2525", typed="another-word\n").stderr
    db.session.expire_all()
    assert relays.endpoint(db.session(), 1).password == "another-word"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "main", "smtp://mail.example.org"), "must be a name"),
        (("add", "main", "mail.example.org", "--port", "99999"), "from 1 to 65,535"),
        (("edit", "nobody", "--weight", "1"), "no relay called nobody"),
        (("disable", "nobody"), "no relay called nobody"),
        (("resume", "settings"), "neither held nor paused"),
    ],
)
def test_mistakes_end_in_a_sentence(newsletter_command: Command, arguments: tuple[str, ...], said: str) -> None:
    result = newsletter_command.run("relays", *arguments, status=1)
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_a_relay_is_held_resumed_disabled_enabled_and_removed(newsletter_command: Command) -> None:
    newsletter_command.run("relays", "hold", "settings")
    assert newsletter_command.json("relays", "list")[0]["state"] == "held"
    newsletter_command.run("relays", "resume", "settings")
    newsletter_command.run("relays", "add", "main", "mail.example.org")
    for act, state in (("hold", "held"), ("resume", "ready"), ("disable", "disabled"), ("enable", "ready")):
        newsletter_command.run("relays", act, "main")
        assert newsletter_command.json("relays", "list")[0]["state"] == state
    newsletter_command.run("relays", "remove", "main", status=1, typed="n\n")
    newsletter_command.run("relays", "remove", "main", "--yes")
    assert newsletter_command.json("relays", "list")[0]["id"] == 0


def test_a_test_ends_as_the_relay_does(newsletter_command: Command) -> None:
    assert "There is no way" in newsletter_command.run("relays", "test", "settings", status=1).stdout
    with Sink() as sink:
        newsletter_command.run("relays", "add", "here", "127.0.0.1", "--port", str(sink.port), "--tls", "opportunistic")
        found = newsletter_command.json("relays", "test", "here")
    assert (found["works"], found["reached"], sink.messages) == (True, "ready", [])


def test_a_run_is_given_a_speed_and_resent_to_those_who_failed(seeded: Command) -> None:
    sent = seeded.json("digests", "send", "daily", "--yes")["run"]
    seeded.run("runs", "speed", str(sent), "500")
    assert seeded.json("runs", "show", str(sent))["per_hour"] == 500
    assert "whole number" in seeded.run("runs", "speed", str(sent), "0", status=1).stderr
    seeded.run("runs", "speed", str(sent), "none")
    with transaction() as session:
        for one in session.query(Delivery).order_by(Delivery.id).limit(2):
            one.state, one.reason, one.failure = DeliveryState.FAILED, Reason.REFUSED, Failure.READER
            one.settled_at = utc_now()
        mailing = session.query(Mailing).one()
        mailing.planned, mailing.failed = mailing.planned - 2, 2
    assert seeded.json("runs", "resend", str(sent)) == [{"failure": "reader", "mails": 2}]
    seeded.run("runs", "resend", str(sent), "--failure", "reader", status=1, typed="n\n")
    resent = seeded.json("runs", "resend", str(sent), "--failure", "reader", "--failure", "bug", "--yes")
    assert resent == {"resent": 2}
    assert "No mail of this run failed" in seeded.run("runs", "resend", str(sent)).stdout


def test_limits_for_mail_hosts_are_set_listed_and_lifted(newsletter_command: Command) -> None:
    run = newsletter_command.run
    run("limits", "set", "Google.com", "--per-minute", "500", "--connections", "3")
    (shown,) = newsletter_command.json("limits", "list")
    assert (shown["hosts"], shown["per_minute"], shown["connections"]) == ("google.com", 500, 3)
    assert "at least one limit" in run("limits", "set", "google.com", status=1).stderr
    assert "whole number" in run("limits", "set", "google.com", "--per-hour", "0", status=1).stderr
    run("limits", "remove", "google.com")
    assert "no limit for google.com" in run("limits", "remove", "google.com", status=1).stderr
    assert newsletter_command.json("limits", "slowdowns") == []
    assert "not slowed down" in run("limits", "clear", "hosts:google.com", status=1).stderr
