"""Where the demo lives: a folder of its own, with keys of its own. What somebody else put there it never touches.

The folder carries a mark that is locked while a demo runs. Only a folder with that mark, or an empty one, is used; and
only what a demo made is removed from it, by name, when the next one begins.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from pydantic import SecretStr

from newsletter.foundation.errors import ConflictError
from newsletter.foundation.ports import LOOPBACK, free_or_explain, free_port
from newsletter.foundation.settings import PREFIX, Settings

MARK: Final = ".newsletter-demo"
_MEANING: Final = "`newsletter demo` lives in this folder: it removes what it made here each time it begins.\n"
_OURS: Final = ("data", "caught", "logs", "signup-form.html", ".env")
_KEYS: Final = ("secret_keys", "link_keys", "data_keys", "hash_key")


@dataclass(frozen=True)
class Ports:
    """Where everything listens, on loopback only."""

    web: int
    site: int
    smtp: int
    inbox: int

    @classmethod
    def choose(cls, **wanted: int) -> Self:
        """Return the ports that were asked for; for 0 any that is free.

        Raises ConflictError, naming the way out, unless all are free and different.
        """
        chosen: dict[int, str] = {}
        for name, asked in wanted.items():
            port = asked or next(port for port in iter(free_port, 0) if port not in {*chosen, *wanted.values()})
            if port in chosen:
                raise ConflictError(f"--{chosen[port]}-port and --{name}-port cannot both be {port}.")
            free_or_explain(port, f"--{name}-port")
            chosen[port] = name
        return cls(**{name: port for port, name in chosen.items()})

    def address(self, name: str) -> str:
        """Return the web address of what listens at the port called `name`."""
        return f"http://{LOOPBACK}:{getattr(self, name)}"


@dataclass(frozen=True)
class Ground:
    """The demo's folder, ours alone while the demo runs."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def caught(self) -> Path:
        return self.folder / "caught"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def env(self) -> Path:
        return self.folder / ".env"

    @property
    def signup_form(self) -> Path:
        return self.folder / "signup-form.html"


@contextmanager
def claim(folder: Path) -> Iterator[Ground]:
    """Give `folder`, emptied of what an earlier demo left, until the block ends.

    Raises ConflictError when it holds something else, or while another demo lives in it.
    """
    folder = folder.absolute()
    mark = folder / MARK
    if folder.exists() and not mark.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConflictError(f"{folder} is not the demo's: it would write into it. Choose another with --folder.")
    folder.mkdir(parents=True, exist_ok=True)
    with mark.open("a") as locked:
        try:
            fcntl.flock(locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError(
                f"Another demo is running in {folder}. Stop it, or choose another folder with --folder."
            ) from None
        if not locked.tell():
            locked.write(_MEANING)
            locked.flush()
        for name in _OURS:
            _remove(folder / name)
        yield Ground(folder)


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def environment(
    ground: Ground, ports: Ports, allow_hosts: Iterable[str], *, database_url: str = "", redis_url: str = ""
) -> dict[str, str]:
    """Return every setting of a new demo: none is left to the caller's environment or to an .env that lies about.

    With an (empty) database and a Redis given, the same story is played scaled out.
    """
    given = {
        "mode": "development",
        "public_url": ports.address("web"),
        "data_dir": str(ground.data),
        "smtp_url": f"smtp://{LOOPBACK}:{ports.smtp}",
        "fetch_allow_hosts": ",".join((f"{LOOPBACK}:{ports.site}", *allow_hosts)),
        "database_url": database_url,
        "redis_url": redis_url,
        "log_format": "text",
        **{name: secrets.token_urlsafe(32) for name in _KEYS},
    }
    settings = {
        f"{PREFIX}{name.upper()}": given.get(name, _written(field.get_default()))
        for name, field in Settings.model_fields.items()
    }
    with os.fdopen(os.open(ground.env, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("# The running demo's own. In this folder the `newsletter` command speaks to it.\n")
        file.writelines(f"{name}='{value}'\n" for name, value in settings.items())
    return settings


def _written(default: object) -> str:
    """Write a setting's default as the environment would hold it: every kind there is, or an error at once."""
    match default:
        case SecretStr():
            return default.get_secret_value()
        case str() | bool() | int() | Path():
            return str(default)
        case ():
            return ""
    raise TypeError(f"a default of type {type(default).__name__} cannot be written")
