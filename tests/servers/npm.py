"""Packages for Node that tests use: given by the environment, or fetched once into the checkout's build folder."""

import fcntl
import shutil
import subprocess
from pathlib import Path

from tests.servers.given import Missing, given

BUILD = Path(__file__).resolve().parents[2] / "build" / "npm"


def folder(name: str, version: str) -> Path:
    """Return a folder whose node_modules hold the package: TEST_<NAME>'s, or ours. Raises Missing."""
    variable = f"TEST_{name.upper()}"
    if not shutil.which("node"):
        raise Missing("No Node: apt-get install nodejs npm")
    if wanted := given(variable):
        if not (Path(wanted) / "node_modules" / name).is_dir():
            raise Missing(f"There is no node_modules/{name} in {wanted}, which {variable} names")
        return Path(wanted)
    home = BUILD / f"{name}-{version}"
    BUILD.mkdir(parents=True, exist_ok=True)
    # Parallel workers take turns; to the second one there is nothing left to do.
    with (BUILD / f"{name}.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (home / "complete").exists():
            _install(home, f"{name}@{version}", variable)
            (home / "complete").touch()
    return home


def _install(home: Path, package: str, variable: str) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise Missing(f"No npm: apt-get install npm, or set {variable} to a folder with {package} in node_modules")
    # Scripts of packages are not run: these are libraries, and nothing of theirs needs building.
    command = [
        npm,
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--prefix",
        str(home),
        package,
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    except subprocess.TimeoutExpired:
        raise Missing(f"npm took too long to fetch {package}") from None
    if done.returncode:
        raise Missing(f"npm could not fetch {package}: {done.stderr.strip()[-300:]}")
