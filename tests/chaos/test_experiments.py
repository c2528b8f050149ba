"""Every experiment in its small size; `make chaos` plays them with other seeds, and with the promises' numbers."""

import json

import pytest

from tests.chaos.experiments import EXPERIMENTS
from tests.chaos.ground import Ground
from tests.chaos.result import Size


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.postgres
@pytest.mark.redis
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_no_promise_is_broken(ground: Ground, name: str) -> None:
    found = EXPERIMENTS[name](ground, Size.CI, 7)
    assert found.ok, json.dumps(found.document(), indent=1)
