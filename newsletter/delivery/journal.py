"""A worker process's own record of what it was about to hand over and what it was told, written as it happens.

A local append survives kill -9 (not a power cut). The ledger is told in groups; whatever the ledger has not been told
when the process dies is read back from here by whichever worker comes next on this host. So only messages whose dot was
written and whose reply was not read remain unknown.

Each line is `> id`, `< id verdict code text`, each written with one write(2). The file is locked while its owner lives.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from newsletter.delivery.replies import Outcome, Verdict

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def _boot_id() -> str:
    return _BOOT.read_text().strip() if _BOOT.exists() else ""


class Journal:
    """The journal of this process, named after the owner of its leases.

    It has two sides, used by turns: while one group is on the wire the one before it is being told to the ledger.
    """

    def __init__(self, folder: Path, owner: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._head = f"{owner} {_boot_id()}\n".encode()
        self._paths = [folder / f"{owner.replace(':', '-')}.{side}.journal" for side in (0, 1)]
        self._fds = [_create(path) for path in self._paths]
        for side in (0, 1):
            self.clear(side)

    def about_to_send(self, side: int, delivery_id: int) -> None:
        """Record that the dot of this delivery may be written from now on."""
        os.write(self._fds[side], b"> %d\n" % delivery_id)

    def told(self, side: int, delivery_id: int, outcome: Outcome) -> None:
        """Record what became of it."""
        line = f"< {delivery_id} {outcome.verdict.value} {outcome.code or 0} {outcome.text}\n"
        os.write(self._fds[side], line.encode())

    def clear(self, side: int) -> None:
        """Forget a side: the ledger knows it."""
        os.ftruncate(self._fds[side], 0)
        os.write(self._fds[side], self._head)

    def close(self) -> None:
        """Leave nothing behind; only when the ledger has been told all."""
        for fd, path in zip(self._fds, self._paths, strict=True):
            path.unlink(missing_ok=True)
            os.close(fd)


def _create(path: Path) -> int:
    """Open and lock a new file; its name appears only when it is locked, so that nobody takes it for a dead one's."""
    fresh = path.with_suffix(".new")
    fd = os.open(fresh, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fresh.rename(path)
    return fd


@dataclass
class Remains:
    """What a dead process left."""

    owner: str
    same_boot: bool
    """False: the host went down too, and what the file does not say proves nothing."""
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    dotted: set[int] = field(default_factory=set)
    """Deliveries whose dot may have been written."""


@contextlib.contextmanager
def remains(folder: Path) -> Iterator[list[Remains]]:
    """Take over the journals of dead processes in `folder`; they are deleted when the block ends without an error."""
    taken: list[tuple[int, Path]] = []
    found = []
    try:
        for path in sorted(folder.glob("*.journal")):
            fd = os.open(path, os.O_RDWR)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                continue
            taken.append((fd, path))
            found.append(_read(path.read_text(errors="replace")))
        yield [one for one in found if one is not None]
        for _, path in taken:
            path.unlink(missing_ok=True)
    finally:
        for fd, _ in taken:
            os.close(fd)


def _read(content: str) -> Remains | None:
    head, *lines = content.split("\n")
    owner, _, boot = head.partition(" ")
    if not owner:
        return None
    left = Remains(owner, same_boot=boot == _boot_id())
    for line in lines[:-1]:  # what follows the last line end was cut off by the kill
        kind, _, rest = line.partition(" ")
        if kind == ">":
            left.dotted.add(int(rest))
        elif kind == "<":
            number, verdict, code, text = rest.split(" ", 3)
            left.outcomes[int(number)] = Outcome(Verdict(verdict), int(code) or None, text)
    return left
