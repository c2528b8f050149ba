"""An operator who is signed in, and a service that has something to show."""

import dataclasses
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from newsletter.app import create_app
from newsletter.audience import cadences
from newsletter.foundation.db import transaction
from newsletter.foundation.settings import Settings
from newsletter.operators import accounts
from newsletter.publication import identity
from tests import gazette
from tests.admin.browsing import Browser, Client
from tests.conftest import NOW

PASSWORD = "four plain words together"
IDENTITY = dataclasses.replace(gazette.IDENTITY, timezone="Europe/Berlin")


@pytest.fixture
def make() -> Callable[[Settings], Flask]:
    """The applications of these tests have pages."""
    return create_app


@pytest.fixture
def place(app: Flask) -> Flask:
    """The application with a complete publication, the usual cadences and one operator, `ada`."""
    with transaction() as session:
        identity.create(session, IDENTITY, NOW)
        cadences.ensure_defaults(session)
        accounts.add(session, "ada", PASSWORD, NOW)
    app.testing = True  # an error of ours is the test's, not a page
    app.test_client_class = Client
    return app


@pytest.fixture
def stranger(place: Flask) -> Browser:
    """A browser that nobody signed in with."""
    return Browser(place.test_client())


@pytest.fixture
def ada(place: Flask) -> Browser:
    """A browser that Ada is signed in with."""
    browser = Browser(place.test_client())
    browser.sign_in("ada", PASSWORD)
    return browser


@pytest.fixture
def client(place: Flask) -> FlaskClient:
    """A browser without a screen, and without any help."""
    return place.test_client()
