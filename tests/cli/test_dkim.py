"""The command for keys: what it prints can be pasted, and no private half is ever in it."""

import logging
import re

import pytest
from flask import Flask

from newsletter.foundation.db import db, transaction
from newsletter.publication import dkim
from newsletter.publication.models import DkimKey
from tests.cli.conftest import Command
from tests.conftest import NOW
from tests.publication import names


def signing() -> list[str]:
    db.session.expire_all()
    return [key.selector for key in dkim.listed(db.session()) if key.signing_from and not key.retired_at]


def test_a_key_is_made_published_activated_and_replaced(newsletter_command: Command) -> None:
    made = newsletter_command.json("dkim", "generate", "--selector", "one")
    assert (made["domain"], made["state"], made["algorithm"]) == ("gazette.example", "waiting", "rsa")
    assert made["name"] == "one._domainkey.gazette.example"
    assert made["value"].startswith("v=DKIM1; k=rsa; p=MII")
    assert "".join(made["strings"]) == made["value"]
    assert signing() == []
    assert newsletter_command.json("dkim", "activate", "one")["state"] == "signing"
    newsletter_command.run("dkim", "generate", "--selector", "two")
    assert signing() == ["one"]
    assert newsletter_command.json("dkim", "activate", "two")["retired"] == "one"
    assert signing() == ["two"]
    states = {row["selector"]: row["state"] for row in newsletter_command.json("dkim", "list")}
    assert states == {"one": "retired", "two": "signing"}
    assert newsletter_command.json("dkim", "retire", "two")["state"] == "retired"
    assert signing() == []


def test_the_record_is_printed_whole_for_every_kind_of_name_server(newsletter_command: Command) -> None:
    result = newsletter_command.run("dkim", "generate")
    (key,) = dkim.listed(db.session())
    lines = result.stdout.splitlines()
    assert f"Name   {key.selector}._domainkey.gazette.example" in lines
    assert f"Value  {key.record}" in lines
    strings = [line.strip('"') for line in lines if re.fullmatch(r'"[^"]{1,255}"', line)]
    assert "".join(strings) == key.record
    (zone,) = [line for line in lines if " IN TXT " in line]
    assert "".join(re.findall(r'"([^"]*)"', zone)) == key.record
    assert f"newsletter dkim activate {key.selector} --domain gazette.example" in result.stderr
    shown = newsletter_command.run("dkim", "show", key.selector).stdout
    assert shown.endswith(result.stdout)


def test_whoever_knows_activates_at_once(newsletter_command: Command) -> None:
    result = newsletter_command.run("dkim", "generate", "--selector", "one", "--activate")
    assert signing() == ["one"]
    assert "dkim activate" not in result.stderr


def test_a_spent_key_has_an_empty_record_and_may_be_forgotten(newsletter_command: Command) -> None:
    newsletter_command.run("dkim", "generate", "--selector", "one", "--activate")
    assert "It signs" in newsletter_command.run("dkim", "remove", "one", status=1).stderr
    newsletter_command.run("dkim", "retire", "one")
    assert "under way" in newsletter_command.run("dkim", "remove", "one", status=1).stderr
    with transaction() as session:
        dkim.find(session, "one").retired_at = NOW.replace(year=2020)
    assert newsletter_command.json("dkim", "show", "one")["value"] == "v=DKIM1; k=rsa; p="
    assert "revokes" in newsletter_command.run("dkim", "show", "one").stderr
    newsletter_command.run("dkim", "remove", "one")
    assert newsletter_command.json("dkim", "list") == []
    assert "newsletter dkim generate" in newsletter_command.run("dkim", "list").stdout
    assert "There is no key" in newsletter_command.run("dkim", "show", "one", status=1).stderr


def test_the_dns_is_asked_whether_records_are_as_they_should_be(
    newsletter_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = newsletter_command.json("dkim", "generate", "--selector", "good")
    newsletter_command.run("dkim", "generate", "--selector", "missing")
    strings = " ".join(f'"{part}"' for part in good["strings"])
    with names.serving({good["name"]: [strings]}) as resolver:
        monkeypatch.setattr("dns.resolver.Resolver", lambda: resolver)
        (row,) = newsletter_command.json("dkim", "check", "good")
        assert (row["selector"], row["problem"]) == ("good", "")
        result = newsletter_command.run("dkim", "check", status=1)
        assert "There is no record." in result.stdout
        assert result.stdout.count("gazette.example") == 2


def test_ed25519_comes_with_a_warning(newsletter_command: Command) -> None:
    made = newsletter_command.run("dkim", "generate", "--algorithm", "ed25519", "--selector", "ed")
    assert "badly signed" in made.stderr
    assert "k=ed25519; p=" in made.stdout
    assert "RSA" in newsletter_command.run("dkim", "activate", "ed", status=1).stderr
    newsletter_command.run("dkim", "generate", "--selector", "one", "--activate")
    assert "badly signed" in newsletter_command.run("dkim", "activate", "ed").stderr
    assert signing() == ["one", "ed"] or signing() == ["ed", "one"]


def test_a_sender_that_the_key_does_not_sign_for_is_named(newsletter_command: Command) -> None:
    stderr = newsletter_command.run("dkim", "generate", "--domain", "other.example").stderr
    assert "Mail from news@gazette.example needs a key of its own domain." in stderr
    assert "Mail from confirm@gazette.example needs a key of its own domain." in stderr
    assert "needs a key" not in newsletter_command.run("dkim", "generate").stderr


def test_no_private_half_is_printed_or_logged(
    newsletter_command: Command, place: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    for arguments in (
        ("generate", "--selector", "one"),
        ("generate", "--selector", "two", "--json"),
        ("generate", "--selector", "one"),
        ("activate", "one"),
        ("activate", "two", "--json"),
        ("show", "one"),
        ("show", "two", "--json"),
        ("list",),
        ("list", "--json"),
        ("retire", "two"),
    ):
        status = int(arguments == ("generate", "--selector", "one") and bool(said))
        result = newsletter_command.run("dkim", *arguments, status=status)
        said.append(result.stdout + result.stderr)
    everything = "\n".join(said) + caplog.text
    assert "PRIVATE" not in everything
    for key in db.session.scalars(db.select(DkimKey)):
        pem = place.extensions["newsletter"].vault.open(key.sealed)
        secret = "".join(pem.splitlines()[1:-1])
        assert len(secret) > 1500
        assert not any(
            secret[start : start + 40] in everything for start in range(len(secret) // 3, len(secret) - 40, 40)
        )
        assert key.sealed not in everything
