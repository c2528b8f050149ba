"""The `newsletter` command: one file for each noun, each adding its commands to one group.

Errors in the domain's words end a command with their sentence on standard error and status 1, unusable settings with
status 2, a mistyped command with click's own 2.
"""

import gc
import importlib
from typing import Final

import click
from flask import Flask
from flask.cli import AppGroup, ScriptInfo

from newsletter import __version__, tables  # noqa: F401  (a command may touch what refers to rooms that it does not import)
from newsletter.foundation import application
from newsletter.foundation.errors import NewsletterError, SettingsError

COMMANDS: Final = {
    "init": "setting_up:init",
    "serve": "serving:serve",
    "worker": "working:worker",
    "publication": "publication:group",
    "affiliates": "affiliates:group",
    "operators": "operators:group",
    "sources": "sources:group",
    "categories": "categories:group",
    "subscribers": "subscribers:group",
    "digests": "digests:group",
    "runs": "runs:group",
    "relays": "relays:group",
    "limits": "limits:group",
    "deliveries": "deliveries:group",
    "dkim": "dkim:group",
    "seed": "seed:seed",
    "adopt": "adopting:adopt",
    "demo": "demo:demo",
    "db": "migrations:group",
}
"""Where each is. A process imports the one that it runs: a worker has no use for the tools of the others."""


class Newsletter(AppGroup):
    """The whole command: tells errors in plain words, as a program among others does."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS and cmd_name not in self.commands:
            module, _, attribute = COMMANDS[cmd_name].partition(":")
            self.add_command(getattr(importlib.import_module(f"{__name__}.{module}"), attribute), cmd_name)
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            click.echo(error, err=True)
            ctx.exit(2)
        except NewsletterError as error:
            click.echo(f"newsletter: {error}", err=True)
            ctx.exit(1)


newsletter: Final = click.version_option(__version__, prog_name="newsletter")(
    Newsletter("newsletter", help="Feed digests by e-mail for news sites.", no_args_is_help=True)
)


def main() -> None:
    """Run the command as a program."""
    try:
        newsletter(
            prog_name="newsletter",
            obj=ScriptInfo(create_app=_application, set_debug_flag=False),
            auto_envvar_prefix=None,
        )
    finally:
        gc.freeze()  # the interpreter would search all that was imported for garbage as it ends: half a second


def _application() -> Flask:
    app = application.build()
    gc.freeze()  # all that is there now stays: no collection needs to look at it, and forked children can share it
    return app
