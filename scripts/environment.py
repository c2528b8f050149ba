"""Build `.venv` from a lock file, once per content of the lock: `python3 scripts/environment.py requirements.lock`.

Runs before anything is installed, so it uses the standard library alone. Speaks on stderr only: stdout belongs to the
command that is run afterwards. A later lock is installed over an earlier one; `make clean` starts afresh.
"""

from __future__ import annotations  # an older Python must come as far as the sentence that turns it away

import fcntl
import hashlib
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"

NO_PIP = """\
.venv could not be built; see above. Any one of these may help:
  apt-get install python3-venv        (Debian, Ubuntu)
  make PYTHON=/path/to/python3 …      (a Python that has ensurepip)"""


def main(lock: str) -> int:
    """Bring `.venv` to the state that `lock` and pyproject.toml ask for; return an exit code."""
    if sys.version_info < (3, 11):  # noqa: UP036  (this is where an older Python is turned away)
        return say(
            f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}. Use make PYTHON=/path/to/python3"
        )
    # Two commands started at once: the second waits, and finds the work done.
    with pathlib.Path(__file__).open() as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        return build(lock)


def build(lock: str) -> int:
    """Create the environment where there is none, and install where the stamp differs."""
    stamp = VENV / f"installed-{lock}"
    digest = hashlib.sha256((ROOT / lock).read_bytes() + (ROOT / "pyproject.toml").read_bytes()).hexdigest()
    usable = PYTHON.exists() and belongs_here()
    if usable and stamp.exists() and stamp.read_text() == digest:
        return 0
    started = time.monotonic()
    if not usable:
        say(f"Building .venv (Python {sys.version.split()[0]}) …")
        if problem := create():
            return say(f"{problem}\n\n{NO_PIP}")
    say(f"Installing the packages of {lock} …")
    if problem := pip("--require-hashes", "-r", lock):
        return say(
            f"{problem}\nThe packages of {lock} could not be installed; see above. The same command goes on from here."
        )
    say("Installing the newsletter itself …")
    if problem := pip("--no-deps", "--no-build-isolation", "-e", "."):
        return say(f"{problem}\nThe newsletter itself could not be installed; see above.")
    stamp.write_text(digest)
    say(f".venv is ready after {time.monotonic() - started:.0f} s.")
    return 0


def belongs_here() -> bool:
    """Say whether `.venv` was made here: its scripts name their interpreter by full path, so that a copy is no use."""
    script = VENV / "bin" / "pip"
    return script.exists() and str(VENV) in script.read_text()


def create() -> str | None:
    """Create `.venv` with a pip in it; return what is wrong otherwise."""
    if quiet(sys.executable, "-c", "import ensurepip") is None:
        return quiet(sys.executable, "-m", "venv", "--clear", VENV)
    # Debian ships Python without ensurepip: the environment gets its pip from this Python, or from Debian's archive.
    return quiet(sys.executable, "-m", "venv", "--clear", "--without-pip", VENV) or (
        quiet(sys.executable, "-m", "pip", "--python", PYTHON, "install", "-q", "pip") and pip_from_debian()
    )


def pip_from_debian() -> str | None:
    """Take pip out of Debian's own package, without root and without installing the package."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return "No pip was found."
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "lists").mkdir()
        (folder / "cache").mkdir()
        apt = ["apt-get", "-qq", "-o", f"Dir::State::lists={folder}/lists", "-o", f"Dir::Cache={folder}/cache"]
        return (
            quiet(*apt, "update")
            or quiet(*apt, "download", "python3-pip-whl", cwd=folder)
            or quiet("dpkg-deb", "-x", *folder.glob("python3-pip-whl*.deb"), folder)
            or quiet(PYTHON, next(folder.glob("usr/share/python-wheels/pip-*.whl")) / "pip", "install", "-q", "pip")
        )


def pip(*arguments: str) -> str | None:
    """Install into `.venv`; return the output where it failed."""
    return quiet(PYTHON, "-m", "pip", "install", "-q", "--no-input", "--disable-pip-version-check", *arguments)


def quiet(*command: object, cwd: pathlib.Path = ROOT) -> str | None:
    """Run `command` in silence; return None when it succeeded, else all that it said."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return None if done.returncode == 0 else done.stdout or f"{command[0]} ended with code {done.returncode}"


def say(line: str) -> int:
    """Print on stderr; return the exit code of a failure, for `return say(…)`."""
    print(line, file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
