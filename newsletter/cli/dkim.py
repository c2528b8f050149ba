"""`newsletter dkim`: the keys that sign mail, and the DNS records that go with them."""

from typing import Any, Final

import click
from flask.cli import AppGroup

from newsletter.cli import report
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.services import services
from newsletter.publication import dkim, identity
from newsletter.publication import dkim_lookup as lookup
from newsletter.publication import dkim_records as records
from newsletter.publication.dkim import KeyState
from newsletter.publication.models import DkimKey, KeyAlgorithm

group: Final = AppGroup("dkim", help="The keys that sign mail, and their DNS records.")
_ED25519_WARNING: Final = (
    "Some mailbox providers judge a mail as badly signed when it carries an Ed25519 signature beside a good RSA one. "
    "Activate this key only if you mean to try that out."
)
_domain = click.option("--domain", default="", help="The key's domain, where several have a key of this name.")


@group.command()
@click.option("--domain", default="", help="The domain of the From address; without it, that of the digests' sender.")
@click.option("--selector", default="", help="The key's name in the DNS; without it one is made from the month.")
@click.option(
    "--algorithm", type=click.Choice([one.value for one in KeyAlgorithm]), default="rsa", show_default=True,
    help="ed25519 signs beside rsa, for trying out.",
)  # fmt: skip
@click.option("--activate", "at_once", is_flag=True, help="Sign from now on, before anybody can look the record up.")
@report.as_json
def generate(domain: str, selector: str, algorithm: str, at_once: bool, as_json: bool) -> None:
    """Make a key and print the record to publish. Nothing is signed with it until it is activated."""
    now = utc_now()
    with transaction() as session:
        whose = domain or identity.load(session).digest_from.rpartition("@")[2]
        key = dkim.generate(
            session, services().vault, whose, now, selector=selector, algorithm=KeyAlgorithm(algorithm)
        )  # fmt: skip
        if at_once:
            dkim.activate(session, key, now)
    if as_json:
        report.document(_whole(key))
        return
    _print_record(key)
    if key.algorithm is KeyAlgorithm.ED25519:
        report.say("", _ED25519_WARNING)
    if not at_once:
        report.say(
            "",
            "Next: publish this record, and sign with the key once name servers answer with it:",
            f"  newsletter dkim check {_named(key)}",
            f"  newsletter dkim activate {_named(key)}",
        )
    for sender in _unsigned_senders(key.domain):
        report.say("", f"Mail from {sender} needs a key of its own domain.")


@group.command("list")
@report.as_json
def list_(as_json: bool) -> None:
    """Show all keys and where each is in its life."""
    found = [_row(key) for key in dkim.listed(db.session())]
    report.rows(found, as_json, title="DKIM keys", empty="None yet. Make one: newsletter dkim generate")


@group.command()
@click.argument("selector")
@_domain
@report.as_json
def show(selector: str, domain: str, as_json: bool) -> None:
    """Show a key, and the record that should be published for it now."""
    key = dkim.find(db.session(), selector, domain)
    if as_json:
        report.document(_whole(key))
        return
    report.facts(_row(key), as_json)
    click.echo()
    _print_record(key)


@group.command()
@click.argument("selector", required=False, default="")
@_domain
@report.as_json
@click.pass_context
def check(context: click.Context, selector: str, domain: str, as_json: bool) -> None:
    """Ask the DNS whether the record of a key, or of each, is as it should be; end with status 1 where it is not."""
    session, now = db.session(), utc_now()
    found = [
        _row(key) | {"problem": lookup.why_not(lookup.published(_name(key)), dkim.wanted_record(key, now)) or ""}
        for key in ([dkim.find(session, selector, domain)] if selector else dkim.listed(session))
    ]
    shown = ("domain", "selector", "state", "problem")
    rows = found if as_json else [{name: row[name] for name in shown} for row in found]
    report.rows(rows, as_json, title="DKIM records", empty="None yet. Make one: newsletter dkim generate")
    context.exit(int(any(row["problem"] for row in found)))


@group.command()
@click.argument("selector")
@_domain
@report.as_json
def activate(selector: str, domain: str, as_json: bool) -> None:
    """Sign with this key from now on. Its record is published; the key before it, if any, is retired."""
    with transaction() as session:
        key = dkim.find(session, selector, domain)
        before = dkim.activate(session, key, utc_now())
    if as_json:
        report.document(_row(key) | {"retired": before and before.selector})
        return
    report.say(f"Mail from {key.domain} is signed with {key.selector} from now on, without a restart.")
    if key.algorithm is KeyAlgorithm.ED25519:
        report.say(_ED25519_WARNING)
    if before:
        report.say(_kept(before))


@group.command()
@click.argument("selector")
@_domain
@report.as_json
def retire(selector: str, domain: str, as_json: bool) -> None:
    """Sign no more with this key, without another in its place."""
    with transaction() as session:
        key = dkim.find(session, selector, domain)
        dkim.retire(session, key, utc_now())
    if as_json:
        report.document(_row(key))
    else:
        report.say(f"{key.selector} signs no more. Mail from {key.domain} leaves without its signature.", _kept(key))


@group.command()
@click.argument("selector")
@_domain
def remove(selector: str, domain: str) -> None:
    """Forget a key that never signed, or whose time is over."""
    with transaction() as session:
        key = dkim.find(session, selector, domain)
        dkim.remove(session, key, utc_now())
    report.say(f"{key.selector} of {key.domain} is forgotten. Its record, if it is published, may go.")


def _row(key: DkimKey) -> dict[str, Any]:
    """Return what may be shown of a key; what is sealed is not among it."""
    return {
        "domain": key.domain,
        "selector": key.selector,
        "algorithm": key.algorithm.value,
        "state": dkim.state(key, utc_now()).value,
        "created_at": key.created_at,
        "signing_from": key.signing_from,
        "retired_at": key.retired_at,
        "spent_at": dkim.spent_at(key),
    }


def _whole(key: DkimKey) -> dict[str, Any]:
    name, value = _name(key), dkim.wanted_record(key, utc_now())
    return _row(key) | {
        "name": name,
        "type": "TXT",
        "value": value,
        "strings": records.strings(value),
        "zone": records.zone_line(name, value),
    }


def _print_record(key: DkimKey) -> None:
    """Print the record unwrapped: it is there to be copied."""
    whole = _whole(key)
    click.echo(f"Name   {whole['name']}\nType   TXT\nValue  {whole['value']}\n")
    if len(whole["strings"]) > 1:
        click.echo("Where a value may have 255 characters at most, in several strings:\n")
        click.echo("\n".join(f'"{part}"' for part in whole["strings"]) + "\n")
    click.echo(f"As a line of a zone file:\n\n{whole['zone']}")
    if dkim.state(key, utc_now()) is KeyState.SPENT:
        report.say("", "This empty record revokes the key. It may go, with the key, when you like.")


def _kept(key: DkimKey) -> str:
    spent = dkim.spent_at(key)
    return (
        f"Leave the record of {key.selector} as it is until {spent:%Y-%m-%d}: mail that it signed is under way. "
        f"Then `newsletter dkim show {_named(key)}` has the empty record that revokes it."
    )


def _name(key: DkimKey) -> str:
    return records.name(key.selector, key.domain)


def _named(key: DkimKey) -> str:
    return f"{key.selector} --domain {key.domain}"


def _unsigned_senders(domain: str) -> list[str]:
    found = identity.load(db.session())
    senders = (found.digest_from, found.confirmation_from)
    return [sender for sender in senders if sender and sender.rpartition("@")[2].lower() != domain]
