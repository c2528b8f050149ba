"""Alembic's entry point: the application's own engine and tables, batch mode where SQLite needs it."""

from alembic import context
from flask import current_app
from sqlalchemy.engine import Engine

import newsletter.tables  # noqa: F401  (so that the metadata knows every room's)
from newsletter.foundation.db import Base, db


def run() -> None:
    """Run the migrations on the application's database, in one transaction each."""
    engine: Engine = db.engine
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=connection.dialect.name == "sqlite",
            compare_type=True,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()


if not current_app:
    raise SystemExit("Run migrations through `newsletter db …`")
run()
