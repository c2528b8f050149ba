"""`newsletter categories`: what readers can ask for."""

from typing import Final

import click
from flask.cli import AppGroup

from newsletter.cli import report
from newsletter.content import categories
from newsletter.content.models import Category
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction

group: Final = AppGroup("categories", help="What readers can ask for, in the site's order.")


def _row(category: Category) -> dict[str, object]:
    return {
        "slug": category.slug,
        "name": category.name,
        "description": category.description,
        "url": category.url,
        "archived_at": category.archived_at,
    }


@group.command("list")
@click.option("--archived", is_flag=True, help="Also those that are offered no more.")
@report.as_json
def list_(archived: bool, as_json: bool) -> None:
    """Show the categories."""
    found = [_row(category) for category in categories.listed(db.session(), archived=archived)]
    report.rows(found, as_json, title="Categories", empty="None yet. Add one: newsletter categories add NAME")


@group.command()
@click.argument("name")
@click.option("--description", default="", help="One line that readers see beside the name.")
@click.option("--url", default="", help="The category's page on the site.")
@report.as_json
def add(name: str, description: str, url: str, as_json: bool) -> None:
    """Offer one more, as the last."""
    with transaction() as session:
        category = categories.add(session, name, description=description, url=url)
    report.facts(_row(category), as_json)


@group.command()
@click.argument("slug")
@click.option("--name")
@click.option("--description")
@click.option("--url")
@report.as_json
def change(slug: str, name: str | None, description: str | None, url: str | None, as_json: bool) -> None:
    """Change what readers see of it; what is not given stays."""
    with transaction() as session:
        category = categories.by_slug(session, slug)
        categories.change(
            session,
            category.id,
            name=category.name if name is None else name,
            description=category.description if description is None else description,
            url=category.url if url is None else url,
        )
    report.facts(_row(category), as_json)


@group.command()
@click.argument("slugs", nargs=-1, required=True, metavar="SLUG…")
def order(slugs: tuple[str, ...]) -> None:
    """Put the categories in this order; those not named follow in theirs."""
    with transaction() as session:
        categories.arrange(session, [categories.by_slug(session, slug).id for slug in slugs])
    report.say("The order is changed.")


@group.command()
@click.argument("slug")
def archive(slug: str) -> None:
    """Offer it no more; readers keep their choice should it come back."""
    with transaction() as session:
        categories.archive(session, categories.by_slug(session, slug).id, utc_now())
    report.say(f"{slug} is no longer offered.")


@group.command()
@click.argument("slug")
def restore(slug: str) -> None:
    """Offer an archived one again."""
    with transaction() as session:
        categories.restore(session, categories.by_slug(session, slug).id)
    report.say(f"{slug} is offered again.")
