"""`newsletter relays`: the servers that take our mail over."""

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import click
from flask.cli import AppGroup

from newsletter.cli import report
from newsletter.delivery import relay_views, relays, watching
from newsletter.delivery.models import FROM_SETTINGS, Tls
from newsletter.delivery.relay_terms import Terms
from newsletter.delivery.relay_trial import try_relay
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.errors import NotFoundError
from newsletter.foundation.services import services

group: Final = AppGroup("relays", help="The servers that take our mail over.")
_SETTINGS: Final = "settings"
"""Names the one of the settings, while there is no other."""
_OPTIONS: Final = (
    click.option("--port", type=int, help="587 unless told."),
    click.option("--tls", type=click.Choice([one.value for one in Tls]), help="starttls unless told."),
    click.option("--username", help="The password is then asked for; empty: none."),
    click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input."),
    click.option("--hello", help="Name for EHLO; empty: this host's."),
    click.option("--weight", type=int, help="Its share beside others; 0: only when the others are away."),
    click.option("--connections", type=int, help="At most so many at a time, of all workers together."),
    click.option("--per-second", type=int, help="Mails a second at most; 0: no limit."),
    click.option("--per-minute", type=int, help="Mails a minute at most; 0: no limit."),
    click.option("--per-hour", type=int, help="Mails an hour at most; 0: no limit."),
    click.option("--sender", "senders", multiple=True, help="Takes mail from this address or domain only (repeat)."),
    click.option("--all-senders", is_flag=True, help="Takes mail from all senders."),
    click.option("--stream", "streams", multiple=True, help="Takes this cadence (or `confirmations`) only; repeat."),
    click.option("--all-streams", is_flag=True, help="Takes mail of all kinds."),
)  # fmt: skip


def _terms(act: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        act = option(act)
    return act


@group.command("list")
@report.as_json
def list_(as_json: bool) -> None:
    """Show the relays and how they are doing."""
    found = [view.as_row() for view in relay_views.listed(db.session(), utc_now())]
    if not as_json:
        shown = ("id", "name", "host", "port", "weight", "connections", "state", "sentence", "last_accepted_at")
        found = [{name: row[name] for name in shown} for row in found]
    report.rows(found, as_json, title="Relays", empty="")
    for sentence in relay_views.uncovered(db.session()):
        report.say(sentence)


@group.command()
@click.argument("name")
@click.argument("host")
@_terms
@report.as_json
def add(name: str, host: str, as_json: bool, password_stdin: bool, **options: Any) -> None:
    """Add a relay. The password is asked for, never taken from the command line, where others could read it."""
    terms = _changed(Terms(name, host), options)
    password = _password(password_stdin) if terms.username or password_stdin else ""
    with transaction() as session:
        relay_id = relays.add(session, terms, password, services().vault, utc_now()).id
    _show(relay_id, as_json)


@group.command()
@click.argument("name")
@click.option("--name", "new_name", help="Its new name.")
@click.option("--host", help="Its new host; the password is then asked for again.")
@click.option("--password", "ask", is_flag=True, help="Ask for a new password.")
@_terms
@report.as_json
def edit(
    name: str, new_name: str | None, host: str | None, ask: bool, as_json: bool, password_stdin: bool, **options: Any
) -> None:
    """Change what is told, and leave the rest as it is."""
    relay = relays.named(db.session(), name)
    before = Terms.of(relay)
    terms = _changed(replace(before, name=new_name or before.name, host=host or before.host), options)
    moved = "password" in relays.mistakes(db.session(), relay, terms, "")
    password = _password(password_stdin) if ask or password_stdin or moved else ""
    with transaction() as session:
        relays.edit(session, relay.id, terms, password, services().vault, utc_now())
    _show(relay.id, as_json)


@group.command()
@click.argument("name")
def disable(name: str) -> None:
    """Use a relay no more until it is enabled."""
    with transaction() as session:
        relays.disable(session, relays.named(session, name).id, utc_now())
    report.say("Disabled.")


@group.command()
@click.argument("name")
def enable(name: str) -> None:
    """Use a disabled relay again."""
    with transaction() as session:
        relays.enable(session, relays.named(session, name).id, utc_now())
    report.say("Enabled: it takes mail again.")


@group.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(name: str, yes: bool) -> None:
    """Forget a relay that never took a mail, with its password."""
    relay = relays.named(db.session(), name)
    if not yes:
        click.confirm(f"Forget {relay.name} and its password?", abort=True, err=True)
    with transaction() as session:
        relays.remove(session, relay.id)
    report.say("Removed.")


@group.command()
@click.argument("name")
def hold(name: str) -> None:
    """Hand a relay nothing until it is resumed (`settings`: the one of the settings)."""
    with transaction() as session:
        watching.hold(session, _id(name), utc_now())
    report.say("Held.")


@group.command()
@click.argument("name")
def resume(name: str) -> None:
    """Use a held or paused relay again at once (`settings`: the one of the settings)."""
    with transaction() as session:
        watching.resume(session, _id(name), utc_now())
    report.say("Resumed: it is tried again at once.")


@group.command()
@click.argument("name")
@report.as_json
def test(name: str, as_json: bool) -> None:
    """Connect, greet, encrypt and sign in, and say how far it came; sends no mail. Status 1 if it does not work."""
    with transaction() as session:  # ended before the relay is waited for
        endpoint = relays.endpoint(session, _id(name))
    trial = try_relay(endpoint)
    found = {"works": trial.works, "reached": trial.reached, "sentence": trial.sentence, "offers": list(trial.offers)}
    report.facts(found, as_json)
    if not trial.works:
        raise SystemExit(1)


def _id(name: str) -> int:
    try:
        return relays.named(db.session(), name).id
    except NotFoundError:
        if name != _SETTINGS:
            raise
        return FROM_SETTINGS


def _changed(terms: Terms, options: dict[str, Any]) -> Terms:
    """Return `terms` with the options that were given; 0 lifts a limit."""
    given = {name: value for name, value in options.items() if value is not None and value != () and value is not False}
    for name in ("senders", "streams"):
        if given.pop(f"all_{name}", False):
            given[name] = ()
    if "tls" in given:
        given["tls"] = Tls(given["tls"])
    for span in ("per_second", "per_minute", "per_hour"):
        if options[span] == 0:
            given[span] = None
    return replace(terms, **given)


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("Password", hide_input=True, err=True))


def _show(relay_id: int, as_json: bool) -> None:
    row = relay_views.one(db.session(), relay_id, utc_now()).as_row()
    report.facts(row, as_json)
