"""A Chromium for tests: TEST_BROWSER's, an installed one, or Debian's, installed when we are root."""

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.servers.given import Missing, given

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--no-sandbox",  # containers often allow none; it only ever opens our own pages
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def program() -> str:
    """Return the path of a browser's program; raise Missing when there is none to be had."""
    if path := given("TEST_BROWSER"):
        if not Path(path).exists():
            raise Missing(f"There is no {path}, which TEST_BROWSER names")
        return path
    if path := _installed():
        return path
    if os.geteuid() == 0 and shutil.which("apt-get"):
        # Parallel workers: the first installs, the others find it done.
        with (Path(tempfile.gettempdir()) / "newsletter-tests-browser.lock").open("w") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            if not _installed():
                for command in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
                    subprocess.run(["apt-get", "-qq", *command], capture_output=True, check=False)
        if path := _installed():
            return path
    raise Missing("No browser: set TEST_BROWSER to a Chromium's path, or apt-get install chromium")


def _installed() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextlib.contextmanager
def running() -> Iterator[Browser]:
    """Give a browser until the block ends. Raises Missing."""
    path = program()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        try:
            yield browser
        finally:
            browser.close()
