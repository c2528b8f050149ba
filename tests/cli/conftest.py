"""The command, run inside the test's process on the test's application."""

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.cli import ScriptInfo

from newsletter.audience import cadences
from newsletter.cli import newsletter
from newsletter.foundation.db import transaction
from newsletter.publication import identity
from tests.conftest import NOW
from tests.gazette import IDENTITY


class Command:
    """Runs `newsletter …` and looks at its answer."""

    def __init__(self, app: Flask) -> None:
        self._info = ScriptInfo(create_app=lambda: app, set_debug_flag=False)

    def run(self, *arguments: str, status: int = 0, typed: str | None = None) -> Result:
        """Run the command; it must end with `status`."""
        result = CliRunner().invoke(newsletter, list(arguments), obj=self._info, input=typed, catch_exceptions=False)
        assert result.exit_code == status, result.output
        return result

    def json(self, *arguments: str) -> Any:
        """Run the command with --json and return its one document."""
        return json.loads(self.run(*arguments, "--json").stdout)


@pytest.fixture
def place(app: Flask) -> Flask:
    """The application with a complete publication and the usual cadences."""
    with transaction() as session:
        identity.create(session, IDENTITY, NOW)
        cadences.ensure_defaults(session)
    return app


@pytest.fixture
def newsletter_command(place: Flask) -> Command:
    """The command on that application."""
    return Command(place)


@pytest.fixture
def seeded(newsletter_command: Command) -> Command:
    """The command on a database with generated readers and articles."""
    newsletter_command.run("seed", "--readers", "60", "--categories", "3", "--articles", "9")
    return newsletter_command
