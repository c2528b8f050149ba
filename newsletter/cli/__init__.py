"""The `newsletter` command: one file for each noun, each adding its commands to one group.

Errors in the domain's words end a command with their sentence on standard error and status 1, unusable settings with
status 2, a mistyped command with click's own 2.
"""

from typing import Final

import click
import flask_migrate.cli
from flask import Flask
from flask.cli import AppGroup, ScriptInfo

from newsletter.cli import (
    adopting,
    affiliates,
    categories,
    deliveries,
    demo,
    digests,
    dkim,
    limits,
    operators,
    processes,
    publication,
    relays,
    runs,
    seed,
    setting_up,
    sources,
    subscribers,
)
from newsletter.foundation.errors import NewsletterError, SettingsError

COMMANDS: Final[tuple[click.Command, ...]] = (
    setting_up.init,
    processes.serve,
    processes.worker,
    publication.group,
    affiliates.group,
    operators.group,
    sources.group,
    categories.group,
    subscribers.group,
    digests.group,
    runs.group,
    relays.group,
    limits.group,
    deliveries.group,
    dkim.group,
    seed.seed,
    adopting.adopt,
    demo.demo,
    flask_migrate.cli.db,
)


class Newsletter(AppGroup):
    """The whole command: tells errors in plain words, as a program among others does."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            click.echo(error, err=True)
            ctx.exit(2)
        except NewsletterError as error:
            click.echo(f"newsletter: {error}", err=True)
            ctx.exit(1)


newsletter = Newsletter("newsletter", help="Feed digests by e-mail for news sites.", no_args_is_help=True)
for command in COMMANDS:
    newsletter.add_command(command)


def main() -> None:
    """Run the command as a program. Flask finds the application by its name: this room does not import it."""
    newsletter(
        prog_name="newsletter",
        obj=ScriptInfo("newsletter.app:create_app", set_debug_flag=False),
        auto_envvar_prefix=None,
    )


def install(app: Flask) -> None:
    """Offer the same commands to whoever has the application at hand: `flask --app wsgi …`."""
    for command in COMMANDS:
        app.cli.add_command(command)
