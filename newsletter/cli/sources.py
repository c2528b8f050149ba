"""`newsletter sources`: where articles come from."""

from collections.abc import Mapping
from typing import Any, Final

import click
from flask.cli import AppGroup

from newsletter.cli import report
from newsletter.content import categories, sources, terms
from newsletter.content.models import Backlog
from newsletter.content.parser import Parser, shared_parser
from newsletter.content.sources import SourceView
from newsletter.content.trying import TrialRecord, try_source
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.errors import SettingsError
from newsletter.foundation.fetch import Fetcher
from newsletter.foundation.services import services
from newsletter.foundation.settings import load
from newsletter.tasks.content import fetch_now

group: Final = AppGroup("sources", help="Where articles come from.")


@group.command("list")
@report.as_json
def list_(as_json: bool) -> None:
    """Show the sources and how they are doing."""
    found = [_row(source) for source in sources.listed(db.session(), utc_now())]
    if not as_json:
        shown = ("id", "title", "state", "last_success_at", "next_attempt_at", "undecided_terms", "undecided_backlog")
        found = [{name: row[name] for name in shown} for row in found]
    report.rows(found, as_json, title="Sources", empty="None yet. Add one: newsletter sources add ADDRESS")


@group.command()
@click.argument("address")
@click.option("--title", default="", help="Its name; without, the feed's own.")
@click.option("--category", help="Slug of the category for articles that no word sorts.")
@click.option(
    "--backlog", type=click.Choice([one.value for one in Backlog]), default=Backlog.ASK.value, show_default=True,
    help="What it has already: decide later, counts as seen, or is new.",
)  # fmt: skip
@click.option("--username", help="For a feed that asks for a password, which is then asked for.")
@click.option("--no-fetch", is_flag=True, help="Leave the first fetch to the worker.")
@report.as_json
def add(
    address: str, title: str, category: str | None, backlog: str, username: str | None, no_fetch: bool, as_json: bool
) -> None:
    """Add the feed at ADDRESS, or the one that the site there names, and fetch it."""
    credentials = (username, click.prompt("Password", hide_input=True, err=True)) if username else None
    found = sources.look(address, services().fetcher, shared_parser(), credentials)
    with transaction() as session:
        source = sources.add(
            session,
            found,
            utc_now(),
            vault=services().vault,
            title=title,
            default_category_id=categories.by_slug(session, category).id if category else None,
            backlog=Backlog(backlog),
            credentials=credentials,
        )
    if not no_fetch:
        fetch_now(source.id)
    report.facts(_row(sources.view(db.session(), source.id, utc_now())), as_json)


@group.command()
@click.argument("ids", nargs=-1, type=int, metavar="ID…")
@report.as_json
def fetch(ids: tuple[int, ...], as_json: bool) -> None:
    """Fetch these sources now, or all that are not paused."""
    chosen = ids or [one.id for one in sources.listed(db.session(), utc_now()) if one.next_attempt_at is not None]
    found = []
    for source_id in chosen:
        outcome = fetch_now(source_id)
        stored = outcome.stored
        found.append(
            {
                "id": source_id,
                "url": outcome.url,
                "new": stored.new,
                "changed": stored.changed,
                "seen": stored.seen,
                "problem": outcome.problem,
            }
        )
    report.rows(found, as_json, title="Fetched", empty="No source to fetch. Add one: newsletter sources add ADDRESS")


@group.command()
@click.argument("source_id", type=int, metavar="ID")
def pause(source_id: int) -> None:
    """Ask it no more until it is resumed."""
    with transaction() as session:
        sources.pause(session, source_id, utc_now())
    report.say("Paused.")


@group.command()
@click.argument("source_id", type=int, metavar="ID")
def resume(source_id: int) -> None:
    """Ask a paused source again."""
    with transaction() as session:
        sources.resume(session, source_id, utc_now())
    report.say("Resumed.")


@group.command()
@click.argument("source_id", type=int, metavar="ID")
@click.argument("answer", type=click.Choice([Backlog.SEEN.value, Backlog.NEW.value]))
@report.as_json
def backlog(source_id: int, answer: str, as_json: bool) -> None:
    """Say whether what it had when it was added counts as seen or as new."""
    with transaction() as session:
        number = sources.answer_backlog(session, source_id, utc_now(), release=answer == Backlog.NEW)
    report.facts({"released": number}, as_json)


@group.command("terms")
@click.option("--source", "source_id", type=int, help="Only of this source.")
@report.as_json
def terms_(source_id: int | None, as_json: bool) -> None:
    """Show the sources' own words for categories and what they mean here, undecided ones first."""
    found = [
        {
            "id": term.id,
            "source_id": term.source_id,
            "name": term.name,
            "articles": term.seen,
            "category": term.category,
            "ignored": term.ignored,
        }
        for term in terms.listed(db.session(), source_id)
    ]
    report.rows(found, as_json, title="Words", empty="No article has brought a word for a category yet.")


@group.command("map")
@click.argument("term_id", type=int, metavar="TERM")
@click.argument("category", required=False, metavar="[CATEGORY]")
def map_(term_id: int, category: str | None) -> None:
    """Let a word mean CATEGORY (its slug); without one, let it mean nothing here."""
    with transaction() as session:
        if category is None:
            terms.ignore(session, term_id, utc_now())
        else:
            terms.map_to(session, term_id, categories.by_slug(session, category).id)
    report.say("Noted, also for articles that wait.")


@group.command("try", with_appcontext=False)
@click.argument("places", nargs=-1, required=True, metavar="PATH|URL…")
@report.as_json
def try_(places: tuple[str, ...], as_json: bool) -> None:
    """Show what sources would give, or why they give nothing. Stores nothing; with --json one line for each.

    It needs no database, and settings only for private hosts that may be fetched from.
    """
    fetcher = _fetcher()
    with Parser() as parser:
        for place in places:
            trial = try_source(place, fetcher, parser)
            if as_json:
                report.line(trial)
            else:
                _show(trial)


def _fetcher() -> Fetcher:
    try:
        return Fetcher(allow_hosts=frozenset(load().fetch_allow_hosts))
    except SettingsError:
        return Fetcher()


def _show(trial: TrialRecord) -> None:
    if not trial["ok"]:
        click.echo(f"{trial['source']}\n  {trial['error']}\n")
        return
    rows = [
        {
            "title": article["title"],
            "published": article["published_at"],
            "categories": article["categories"],
            "url": article["url"],
        }
        for article in trial["articles"]
    ]
    report.rows(rows, as_json=False, title=f"{trial['title']}  ({trial['source']})", empty="The feed holds no article.")


def _row(source: SourceView) -> Mapping[str, Any]:
    return {
        "id": source.id,
        "title": source.title,
        "url": source.url,
        "kind": source.kind,
        "state": source.health.state,
        "health": source.health.sentence,
        "last_success_at": source.last_success_at,
        "last_attempt_at": source.last_attempt_at,
        "next_attempt_at": source.next_attempt_at,
        "last_error": source.last_error,
        "default_category": source.default_category,
        "backlog": source.backlog,
        "undecided_backlog": source.unanswered,
        "undecided_terms": source.unmapped,
    }
