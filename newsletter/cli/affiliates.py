"""`newsletter affiliates`: third parties that readers may consent to, each by its name."""

from typing import Final

import click
from flask.cli import AppGroup

from newsletter.cli import report
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.publication import affiliates

group: Final = AppGroup("affiliates", help="Third parties that readers may separately consent to.")


@group.command()
@click.argument("slug")
@click.argument("name")
@report.as_json
def add(slug: str, name: str, as_json: bool) -> None:
    """Offer one more. SLUG names it in consent records for ever; NAME is what readers see."""
    with transaction() as session:
        affiliate = affiliates.add(session, slug, name)
    report.facts({"slug": affiliate.slug, "name": affiliate.name}, as_json)


@group.command("list")
@report.as_json
def list_(as_json: bool) -> None:
    """Show those that are offered."""
    found = [{"slug": affiliate.slug, "name": affiliate.name} for affiliate in affiliates.listed(db.session())]
    report.rows(found, as_json, title="Affiliates", empty="None yet. Add one: newsletter affiliates add SLUG NAME")


@group.command()
@click.argument("slug")
def archive(slug: str) -> None:
    """Offer it no more; consents that were given stay on record."""
    with transaction() as session:
        affiliates.archive(session, slug, utc_now())
    report.say(f"{slug} is no longer offered.")
