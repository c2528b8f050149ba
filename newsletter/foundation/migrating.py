"""Which tables a database has, and which it should have: Alembic, for the few who ask."""

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask, current_app
from flask_migrate import Migrate
from flask_migrate import upgrade as _upgrade
from sqlalchemy import Connection

from newsletter.foundation import resources
from newsletter.foundation.db import db


def prepare(app: Flask) -> None:
    """Tell Flask-Migrate, whose functions look into `app`, where the migrations are."""
    Migrate(app, db, directory=str(resources.folder("migrations")), compare_type=True)


def upgrade() -> None:
    """Bring the tables of the current application's database up to date."""
    prepare(current_app)
    _upgrade()


def current(connection: Connection) -> frozenset[str]:
    """Return the versions of the tables that a database has; none in an empty one."""
    return frozenset(MigrationContext.configure(connection).get_current_heads())


def wanted() -> frozenset[str]:
    """Return the versions of the tables that this program works with."""
    return frozenset(ScriptDirectory(str(resources.folder("migrations"))).get_heads())
