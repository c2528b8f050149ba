"""The ground of all experiments of a test process."""

from collections.abc import Iterator

import pytest

from tests.chaos import ground as grounds
from tests.chaos.ground import Ground
from tests.servers.given import Missing, nothing_may_be_skipped


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Servers that may be crashed; each is started when an experiment first asks for it."""
    with grounds.running(tmp_path_factory.mktemp("chaos")) as ready:
        yield ready


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Skip, and say so, what a machine cannot play; where nothing may be skipped, fail."""
    try:
        return (yield)
    except Missing as missing:
        (pytest.fail if nothing_may_be_skipped() else pytest.skip)(str(missing))
