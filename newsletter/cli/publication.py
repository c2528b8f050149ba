"""`newsletter publication`: the site's identity in mails and pages."""

from dataclasses import asdict, fields
from typing import Final

import click
from flask.cli import AppGroup

from newsletter.cli import report
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.publication import identity

group: Final = AppGroup("publication", help="The site's identity in mails and pages.")
FIELDS: Final = tuple(field.name for field in fields(identity.Identity))


@group.command()
@report.as_json
def show(as_json: bool) -> None:
    """Show all fields, and what is missing before anything can be sent."""
    found = identity.load(db.session())
    problems = identity.problems(found)
    report.facts({**asdict(found), **({"problems": problems} if as_json else {})}, as_json)
    if not as_json:
        report.say(*(f"! {problem}" for problem in problems))


@group.command("set")
@click.argument("changes", nargs=-1, required=True, metavar="FIELD=VALUE…")
@report.as_json
def set_(changes: tuple[str, ...], as_json: bool) -> None:
    """Change fields, e.g. `contact_address=editor@example.org`. All of them or, when one is wrong, none."""
    pairs = dict(change.partition("=")[::2] for change in changes)
    for name in pairs:
        if name not in FIELDS or not any(change.startswith(f"{name}=") for change in changes):
            raise click.BadParameter(f"“{name}” is no FIELD=VALUE; the fields are {', '.join(FIELDS)}.")
    with transaction() as session:
        found = identity.update(session, utc_now(), **pairs)
    report.facts(asdict(found), as_json)
