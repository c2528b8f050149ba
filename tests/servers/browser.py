"""A Chromium for tests: TEST_BROWSER's, an installed one, or Debian's, installed when we are root."""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.servers.given import Missing, given

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DRIVER_NEEDS = "libatomic1"
"""A library that Playwright's driver links to and a bare Debian does not have."""
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
    """Return the path of a browser's program; raise Missing when there is none to be had, or nothing to drive it."""
    wanted = given("TEST_BROWSER")
    if wanted and not Path(wanted).exists():
        raise Missing(f"There is no {wanted}, which TEST_BROWSER names")
    lacking = _lacking(wanted)
    if lacking and os.geteuid() == 0 and shutil.which("apt-get"):
        _install(lacking)
        lacking = _lacking(wanted)
    if lacking:
        raise Missing(f"No browser: apt-get install {' '.join(lacking)}, or set TEST_BROWSER to a Chromium's path")
    return wanted or _installed() or ""


def _lacking(wanted: str | None) -> list[str]:
    there = {"chromium": bool(wanted or _installed()), DRIVER_NEEDS: _driver_starts()}
    return [package for package, found in there.items() if not found]


def _installed() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def _driver_starts() -> bool:
    done = subprocess.run([sys.executable, "-m", "playwright", "--version"], capture_output=True, check=False)
    return done.returncode == 0


def _install(packages: list[str]) -> None:
    # Parallel workers take turns; to the second one there is nothing left to do.
    with (Path(tempfile.gettempdir()) / "newsletter-tests-browser.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
            subprocess.run(["apt-get", "-qq", *command], capture_output=True, check=False)


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
