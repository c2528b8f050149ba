"""A small site with a form to sign up on, and readers of it."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from newsletter.app import create_app
from newsletter.foundation.settings import Settings
from tests.web.site import Site


@pytest.fixture
def make() -> Callable[[Settings], Flask]:
    """The applications of these tests have pages."""
    return create_app


@pytest.fixture
def site(app: Flask) -> Site:
    """The site on SQLite."""
    return Site(app)


@pytest.fixture
def site_on_each(app_on_each: Flask) -> Site:
    """The site on SQLite, then on PostgreSQL."""
    return Site(app_on_each)


@pytest.fixture
def visitor(site: Site) -> FlaskClient:
    """A browser that keeps cookies, should it ever be given one."""
    return site.app.test_client()
