"""`newsletter db`: the commands of Flask-Migrate, on our migrations."""

import flask_migrate.cli
from flask import current_app, g
from flask.cli import AppGroup, with_appcontext

from newsletter.foundation import migrating


@with_appcontext
def _prepare() -> None:
    migrating.prepare(current_app)
    g.directory, g.x_arg = None, ()  # where its own group keeps two options that are of no use here


group = AppGroup(
    "db", callback=_prepare, commands=flask_migrate.cli.db.commands, help="Bring the database's tables up to date."
)
