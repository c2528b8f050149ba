"""Where things are measured: an installation of its own in a temporary folder, and the same application at hand."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from flask import Flask

from newsletter.app import create_app
from newsletter.foundation.db import db
from newsletter.foundation.settings import PREFIX, load
from tests.journeys.processes import Installation
from tests.servers import postgres

Database = Literal["sqlite", "postgresql"]
DATABASES: Final[tuple[Database, ...]] = ("sqlite", "postgresql")
NAMES: Final = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
CONNECTIONS: Final = 10
"""Of a worker to the sink, and of whatever is measured beside it."""
CATEGORIES: Final = 4
ARTICLES: Final = 13
"""New ones in each digest: with them a generated reader's mail has about 20 kB."""


@contextlib.contextmanager
def installation(database: Database, smtp_url: str = "smtp://127.0.0.1:1") -> Iterator[Installation]:
    """Give an installation with a publication and nothing else. Raises Missing where PostgreSQL cannot be had."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        url = ""
        if database == "postgresql":
            server = stack.enter_context(postgres.running(durable=True))
            url = stack.enter_context(server.database())
        more = {"SMTP_CONNECTIONS": str(CONNECTIONS)}
        place = stack.enter_context(Installation(folder, smtp_url, url, more=more))
        place.prepare()
        yield place


@contextlib.contextmanager
def application(place: Installation) -> Iterator[Flask]:
    """Give the installation's application in this process, its context pushed."""
    given = {
        name.removeprefix(PREFIX).lower(): value for name, value in place.environment.items() if name.startswith(PREFIX)
    }
    app = create_app(load(_env_file=None, **given))
    with app.app_context():
        try:
            yield app
        finally:
            db.session.remove()
            db.engine.dispose()
