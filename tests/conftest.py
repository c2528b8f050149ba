"""What every test may ask for: settings, an application on a database of its own, and the servers behind them."""

import contextlib
import datetime
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from newsletter.foundation import application, migrating
from newsletter.foundation.db import db
from newsletter.foundation.settings import Settings, load
from tests.servers.postgres import PostgresServer

pytest_plugins = ["tests.servers.fixtures"]

# A slow machine is no bug: no test asserts how long an example takes.
hypothesis.settings.register_profile("newsletter", deadline=None)
hypothesis.settings.load_profile("newsletter")

NOW = datetime.datetime(2026, 11, 23, 6, 30, tzinfo=datetime.UTC)
"""A Monday morning."""


def make_settings(data_dir: Path, **overrides: object) -> Settings:
    """Settings fit for a test; nothing is read from the machine's environment."""
    given: dict[str, object] = {
        "mode": "development",
        "data_dir": data_dir,
        "public_url": "https://news.example.org",
        "smtp_url": "smtp://127.0.0.1:1",
        "secret_keys": ("s3ssion-key-of-the-tests-0123456789abcdef",),
        "link_keys": ("l1nk-key-of-the-tests-0123456789abcdefgh",),
        "data_keys": ("d4ta-key-of-the-tests-0123456789abcdefgh",),
        "hash_key": "h4sh-key-of-the-tests-0123456789abcdefgh",
        "log_format": "text",
        "_env_file": None,
    }
    return load(**(given | overrides))


@event.listens_for(Engine, "connect")
def _careless(connection: Any, _record: Any) -> None:
    """Let SQLite not wait for the disk in this process, as the tests' PostgreSQL does not: nothing here loses power."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=OFF")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables, made by the migrations, to be copied."""
    folder = tmp_path_factory.mktemp("template")
    app = application.build(make_settings(folder))
    with app.app_context():
        migrating.upgrade()
        db.session.remove()
        db.engine.dispose()
    return folder / "newsletter.db"


@dataclass(frozen=True)
class Databases:
    """PostgreSQL databases with all tables."""

    server: PostgresServer
    template: str

    def fresh(self) -> contextlib.AbstractContextManager[str]:
        """Give the URL of a database of its own; it is dropped when the block ends."""
        return self.server.database(self.template)


@pytest.fixture(scope="session")
def postgres_databases(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Databases]:
    """Databases on the tests' server, copied from one that the migrations made."""
    with postgres_server.database() as template:
        app = application.build(make_settings(tmp_path_factory.mktemp("postgres"), database_url=template))
        with app.app_context():
            migrating.upgrade()
            db.session.remove()
            db.engine.dispose()
        yield Databases(postgres_server, template)


@pytest.fixture
def make() -> Callable[[Settings], Flask]:
    """How a test's application is made: without pages, which take most of that time. Rooms that have some add them."""
    return application.build


@pytest.fixture
def app(make: Callable[[Settings], Flask], sqlite_template: Path, tmp_path: Path) -> Iterator[Flask]:
    """The application on an empty SQLite database of its own; its context is pushed."""
    shutil.copy(sqlite_template, tmp_path / "newsletter.db")
    yield from _running(make(make_settings(tmp_path)))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def app_on_each(request: pytest.FixtureRequest, make: Callable[[Settings], Flask], tmp_path: Path) -> Iterator[Flask]:
    """The application on SQLite, then on PostgreSQL."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "newsletter.db")
        yield from _running(make(make_settings(tmp_path)))
        return
    with request.getfixturevalue("postgres_databases").fresh() as url:
        yield from _running(make(make_settings(tmp_path, database_url=url)))


def _running(app: Flask) -> Iterator[Flask]:
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def session(app: Flask) -> Session:
    """The session of `app`; changes go inside `with transaction()`."""
    return db.session()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser without a screen."""
    return app.test_client()
