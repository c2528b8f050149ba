"""A news desk on both databases."""

import shutil
from collections.abc import Iterator

import pytest
from flask import Flask

from newsletter.foundation import application
from newsletter.foundation.db import db, transaction
from tests.conftest import NOW, make_settings
from tests.content.desk import Desk


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def desk_app(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """One application for all desks of a module: what they do is undone."""
    folder = tmp_path_factory.mktemp("desk")
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), folder / "newsletter.db")
        yield application.build(make_settings(folder))
        return
    with request.getfixturevalue("postgres_databases").fresh() as url:
        app = application.build(make_settings(folder, database_url=url))
        yield app
        with app.app_context():
            db.engine.dispose()


@pytest.fixture
def desk(desk_app: Flask) -> Iterator[Desk]:
    """An empty desk inside one transaction, on SQLite, then on PostgreSQL."""
    with desk_app.app_context(), transaction() as session:
        yield Desk(session, NOW)
        session.rollback()
