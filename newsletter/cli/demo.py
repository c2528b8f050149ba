"""`newsletter demo`: the whole service at work on this machine, without anything to install or to set up first."""

import contextlib
import sys
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from newsletter.cli import report
from newsletter.demo import stall, summary
from newsletter.demo.ground import Ground, Ports, claim, environment
from newsletter.demo.house import House
from newsletter.demo.newsstand import Gazette
from newsletter.demo.postbox import Postbox
from newsletter.demo.stall import Stall
from newsletter.demo.story import Story
from newsletter.demo.telling import Telling
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.supervisor import Supervisor

INTERRUPTED: Final = 130
"""Exit status of a program that Ctrl-C ended, as shells count."""
_Folder: Final = click.Path(file_okay=False, path_type=Path)
_Port: Final = click.IntRange(0, 65535)


@click.command()
@click.option("--exit", "leave", is_flag=True, help="End when the story is told, instead of staying up.")
@report.as_json
@click.option("--feed", "feeds", multiple=True, metavar="PATH|URL", help="Use this feed, not the sample site's.")
@click.option("--mails", type=_Folder, help="Write the caught messages there, raw, one .eml each.")
@click.option("--folder", type=_Folder, default="var/demo", show_default=True, help="Where the demo lives.")
@click.option("--database-url", default="", help="An empty PostgreSQL database to use, instead of a SQLite file.")
@click.option("--redis-url", default="", help="A Redis that carries the work to Celery workers.")
@click.option("--web-port", default=8000, show_default=True, type=_Port, help="The newsletter's pages; 0: any.")
@click.option("--site-port", default=8090, show_default=True, type=_Port, help="The news site.")
@click.option("--smtp-port", default=8025, show_default=True, type=_Port, help="The mail catcher.")
@click.option("--inbox-port", default=8026, show_default=True, type=_Port, help="The inbox of caught mail.")
@click.pass_context
def demo(
    ctx: click.Context,
    /,
    leave: bool,
    as_json: bool,
    feeds: tuple[str, ...],
    mails: Path | None,
    folder: Path,
    database_url: str,
    redis_url: str,
    **ports: int,
) -> None:
    """Show the whole service at work, from feeds to the readers' inbox, and check that all counts agree.

    It begins afresh each time, in a folder of its own, and ends with status 0 only if all is well.
    """
    _refuse_missing(feeds)
    errors = Console(stderr=True, highlight=False)
    telling = Telling(errors)
    story = None
    try:
        chosen = Ports.choose(**{name.removesuffix("_port"): port for name, port in ports.items()})
        with claim(folder) as ground, Supervisor(ground.logs) as supervisor:
            settings = environment(ground, chosen, stall.hosts(feeds), database_url=database_url, redis_url=redis_url)
            house, site = House(ground, chosen, settings, supervisor), chosen.address("site")
            story = Story(house, Stall(site, feeds) if feeds else Gazette(site), telling)
            try:
                whole = False
                with contextlib.suppress(NewsletterError):  # the step it broke off in has told it
                    story.play()
                    whole = True
                _copy(ground, mails)
                _show(story, telling, as_json)
                if whole and not leave:
                    _stay(story, supervisor, errors if as_json else _paper())
            finally:
                _copy(ground, mails)
    except NewsletterError as error:
        if story is None and as_json:
            telling.problems.append(str(error))
            report.document(summary.document(telling, None))
        raise
    except KeyboardInterrupt:
        errors.print("Stopped.")
        ctx.exit(INTERRUPTED)
    ctx.exit(0 if telling.ok else 1)


def _refuse_missing(feeds: tuple[str, ...]) -> None:
    for place in feeds:
        if not stall.is_address(place) and not Path(place).is_file():
            raise click.BadParameter(f"“{place}” is neither a file nor a web address.", param_hint="--feed")


def _copy(ground: Ground, mails: Path | None) -> None:
    if mails is not None:
        Postbox(ground.caught).copy_to(mails)


def _show(story: Story, telling: Telling, as_json: bool) -> None:
    if as_json:
        report.document(summary.document(telling, story))
    else:
        summary.show(_paper(), telling, story)


def _stay(story: Story, supervisor: Supervisor, console: Console) -> None:
    """Stay up until Ctrl-C. Raises ProgramError when a program dies."""
    summary.show_addresses(console, story)
    with contextlib.suppress(KeyboardInterrupt):
        supervisor.wait()
    console.print("Stopping …")


def _paper() -> Console:
    """Return standard output, with room for the tables where no terminal limits it."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)
