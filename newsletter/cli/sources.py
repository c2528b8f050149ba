"""`newsletter sources`: where articles come from."""

from typing import Final

import click
from flask.cli import AppGroup

from newsletter.cli import report
from newsletter.content.parser import Parser
from newsletter.content.trying import TrialRecord, try_source
from newsletter.foundation.errors import SettingsError
from newsletter.foundation.fetch import Fetcher
from newsletter.foundation.settings import load

group: Final = AppGroup("sources", help="Where articles come from.")


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
