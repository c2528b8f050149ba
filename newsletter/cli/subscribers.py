"""`newsletter subscribers`: who reads, and what is held about them."""

from dataclasses import asdict
from typing import Final

import click
from flask.cli import AppGroup

from newsletter.audience import cadences, subscribers
from newsletter.audience.models import Subscriber
from newsletter.cli import report
from newsletter.content import categories
from newsletter.foundation.db import db
from newsletter.foundation.errors import NotFoundError

group: Final = AppGroup("subscribers", help="Who reads, and what is held about them.")


@group.command("list")
@click.argument("prefix", default="")
@click.option("--after", default="", metavar="CURSOR", help="Go on after this one, the `cursor` of a line.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@report.as_json
def list_(prefix: str, after: str, limit: int, as_json: bool) -> None:
    """Show subscribers by address, those whose address begins with PREFIX."""
    found = [asdict(row) for row in subscribers.listed(db.session(), prefix=prefix, after=after, limit=limit)]
    if not as_json:
        found = [{name: value for name, value in row.items() if name != "cursor"} for row in found]
    report.rows(found, as_json, title="Subscribers", empty="Nobody yet. Readers sign up on the sign-up page.")


@group.command()
@click.argument("who", metavar="ID|ADDRESS")
@report.as_json
def show(who: str, as_json: bool) -> None:
    """Show all that is held about one reader: subscriptions of now and before, and every consent with its words."""
    session = db.session()
    found = session.get(Subscriber, int(who)) if who.isdecimal() else subscribers.by_address(session, who)
    if found is None:
        raise NotFoundError(f"There is no subscriber {who}.")
    record = subscribers.shown(session, found.id)
    names = {one.id: one.name for one in categories.listed(session, archived=True)}
    paces = {one.id: one.name for one in cadences.listed(session, archived=True)}
    subscriptions = [
        {"category": names.get(one.category_id), "cadence": paces.get(one.cadence_id)} | asdict(one)
        for one in record.subscriptions
    ]
    consents = [asdict(one) for one in record.consents]
    person = asdict(record.subscriber) | {"paused_until": record.paused_until, "generated": record.generated}
    person.pop("cursor")
    if as_json:
        report.document(person | {"subscriptions": subscriptions, "consents": consents})
        return
    report.facts(person, as_json=False)
    shown = ("category", "cadence", "state", "created_at", "activated_at", "ended_at", "ended_reason")
    lines = [{name: one[name] for name in shown} for one in subscriptions]
    report.rows(lines, as_json=False, title="Subscriptions", empty="No subscription.")
    told = ("at", "act", "purpose", "version", "language", "form")
    consents = [{name: one[name] for name in told} for one in consents]
    report.rows(consents, as_json=False, title="Consents", empty="No consent.")
