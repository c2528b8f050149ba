"""A newsroom with two cadences and four categories, inside one transaction."""

import datetime
from collections.abc import Iterator

import pytest
from flask import Flask

from newsletter.audience.models import Cadence
from newsletter.foundation.db import transaction
from tests.conftest import NOW
from tests.digests.newsroom import Newsroom


@pytest.fixture
def room(app: Flask) -> Iterator[Newsroom]:
    """An empty newsroom, on the Monday morning before it is seven in Berlin."""
    with transaction() as session:
        yield Newsroom(session, NOW - datetime.timedelta(hours=3))


@pytest.fixture
def daily(room: Newsroom) -> Cadence:
    return room.cadence("daily", max_per_category=3)


@pytest.fixture
def weekly(room: Newsroom) -> Cadence:
    return room.cadence("weekly", weekdays="1")


@pytest.fixture
def business(room: Newsroom) -> int:
    return room.category("Business", 1)


@pytest.fixture
def world(room: Newsroom) -> int:
    return room.category("World", 2)
