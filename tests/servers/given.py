"""What the person who runs the tests says through the environment."""

import os


class Missing(Exception):  # noqa: N818  (it is a state of the machine, not an error of ours)
    """A server is not to be had here; the message says in one line how to get it."""


def given(name: str) -> str | None:
    """Return TEST_DATABASE_URL and its like; None when unset or empty."""
    return os.environ.get(name) or None  # noqa: TID251  (settings are the product's; this is the tests' own)


def nothing_may_be_skipped() -> bool:
    """Say whether this is continuous integration, where a missing server is a failure."""
    return given("CI") == "true"


def worker_number() -> int:
    """Return which of pytest's parallel workers this is, from 0."""
    return int((given("PYTEST_XDIST_WORKER") or "gw0").removeprefix("gw"))
