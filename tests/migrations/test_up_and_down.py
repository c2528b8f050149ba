"""The migrations lead to the tables that the code declares, and all the way back, on both databases."""

from collections.abc import Iterator
from pathlib import Path

import flask_migrate
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from newsletter.app import create_app
from newsletter.foundation import migrating
from newsletter.foundation.db import Base, db
from newsletter.foundation.settings import Settings
from tests.conftest import make_settings


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """An application's context on a database without a table."""
    if request.param == "sqlite":
        yield from _context(make_settings(tmp_path))
        return
    with request.getfixturevalue("postgres_server").database() as url:
        yield from _context(make_settings(tmp_path, database_url=url))


def _context(settings: Settings) -> Iterator[None]:
    with create_app(settings).app_context():
        yield
        db.session.remove()
        db.engine.dispose()


def tables() -> set[str]:
    return set(inspect(db.engine).get_table_names()) - {"alembic_version"}


@pytest.mark.usefixtures("bare")
def test_up_makes_what_the_code_declares_and_down_leaves_nothing() -> None:
    migrating.upgrade()
    assert tables() == set(Base.metadata.tables)
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    flask_migrate.downgrade(revision="base")
    assert tables() == set()
    migrating.upgrade()
    assert tables() == set(Base.metadata.tables)
