"""A worker process's own record of what it was about to hand over and what it was told, written as it happens.

It lies in memory that is mapped to a file: a store costs no system call and survives kill -9 (not a power cut). The
ledger is told in groups; whatever the ledger has not been told when the process dies is read back from here by
whichever worker comes next on this host. So only messages whose dot was written and whose reply was not read remain
unknown.

Each line is `> id` or `< id verdict failure code text id`, with `-` for what there is not. A line counts only with its
line end, which is stored after it. The file is locked while its owner lives. A power cut may leave some sectors of it
newer than others: where they meet, one line ends as another, and that the id stands at both its ends shows it.
"""

import contextlib
import fcntl
import mmap
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from newsletter.delivery.replies import Failure, Outcome, Verdict

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_ROOM: Final = 256 * 1024
"""Bytes of a side to begin with; a full one grows."""
_LINE_END: Final = 10


def _boot_id() -> str:
    return _BOOT.read_text().strip() if _BOOT.exists() else ""


class _Side:
    """One file: locked, its space reserved (a store into a hole on a full disk would kill the process)."""

    def __init__(self, path: Path, head: bytes) -> None:
        self.path = path
        fresh = path.with_suffix(".new")
        self.fd = os.open(fresh, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.posix_fallocate(self.fd, 0, _ROOM)
        self._memory = mmap.mmap(self.fd, _ROOM)
        self._end = 0
        self.write(head)
        self._begin = self._end
        fresh.rename(path)  # it has its name only when it is locked: nobody takes it for a dead one's

    def write(self, line: bytes) -> None:
        end = self._end + len(line)
        if end >= len(self._memory):
            size = 2 * len(self._memory)
            os.posix_fallocate(self.fd, 0, size)
            self._memory.resize(size)
        self._memory[self._end : end] = line
        self._memory[end] = _LINE_END  # the last store: a line that was cut off has none
        self._end = end + 1

    def clear(self) -> None:
        self._memory[self._begin] = 0  # ends the reading, should we be killed while the rest is wiped
        self._memory[self._begin : self._end] = bytes(self._end - self._begin)
        self._end = self._begin

    def close(self) -> None:
        self._memory.close()
        self.path.unlink(missing_ok=True)
        os.close(self.fd)


class Journal:
    """A journal of this process, named after the owner of its leases; there is one for each relay, by `number`.

    It has two sides, used by turns: while the ledger is being told one, what happens is written on the other.
    """

    def __init__(self, folder: Path, owner: str, number: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        head = f"{owner} {_boot_id()}".encode()
        name = f"{owner.replace(':', '-')}.{number}"
        self._sides = [_Side(folder / f"{name}.{side}.journal", head) for side in (0, 1)]
        self._now = 0
        self._last: Outcome | None = None
        self._words = b""
        """The last outcome, and as it is written: many are alike."""

    def about_to_send(self, delivery_id: int) -> None:
        """Record that the dot of this delivery may be written from now on."""
        self._sides[self._now].write(b"> %d" % delivery_id)

    def told(self, delivery_id: int, outcome: Outcome) -> None:
        """Record what became of it."""
        if outcome is not self._last:
            failure = outcome.failure.value if outcome.failure else "-"
            words = f"{outcome.verdict.value} {failure} {outcome.code or '-'} {outcome.text}"
            self._last, self._words = outcome, words.encode(errors="replace")
        self._sides[self._now].write(b"< %d %b %d" % (delivery_id, self._words, delivery_id))

    def turn(self) -> None:
        """Write on the other side from now on: the ledger is about to be told what stands on this one."""
        self._now = 1 - self._now

    def forget(self, dotted: Iterable[int]) -> None:
        """Clear the side that is not written on: the ledger knows it. `dotted` still wait for their replies.

        Raises OSError where those cannot be written on the other; then nothing is cleared.
        """
        for delivery_id in dotted:
            self.about_to_send(delivery_id)
        self._sides[1 - self._now].clear()

    def close(self) -> None:
        """Leave nothing behind; only when the ledger has been told all."""
        for side in self._sides:
            side.close()


@dataclass
class Remains:
    """What a dead process left, in all its journals."""

    owner: str
    same_boot: bool
    """False: the host went down too, and what the files do not say proves nothing."""
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    dotted: set[int] = field(default_factory=set)
    """Deliveries whose dot may have been written."""


@contextlib.contextmanager
def remains(folder: Path) -> Iterator[list[Remains]]:
    """Take over the journals of dead processes in `folder`; they are deleted when the block ends without an error.

    A process's journals are taken all together or not at all: what one file is silent about may stand in another.
    """
    by_process: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*.journal")):
        by_process.setdefault(path.name.rsplit(".", 3)[0], []).append(path)
    with contextlib.ExitStack() as closing:
        taken = [paths for paths in by_process.values() if _take(paths, closing)]
        yield [_read(paths) for paths in taken]
        for paths in taken:
            for path in paths:
                path.unlink(missing_ok=True)


def _take(paths: Iterable[Path], closing: contextlib.ExitStack) -> bool:
    """Lock all of these. Returns False, with none locked, where one is still held or has just been dealt with."""
    with contextlib.ExitStack() as mine:
        for path in paths:
            try:
                fd = os.open(path, os.O_RDWR)
                mine.callback(os.close, fd)
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, FileNotFoundError):
                return False
            if os.fstat(fd).st_nlink == 0:  # deleted since we opened it
                return False
        closing.enter_context(mine.pop_all())
        return True


def _read(paths: Iterable[Path]) -> Remains:
    left = Remains("", same_boot=True)
    for path in paths:
        written, _, _ = path.read_bytes().partition(b"\0")
        head, *lines = written.decode(errors="replace").split("\n")
        owner, _, boot = head.partition(" ")  # a power cut may have left nothing of it
        left.owner = left.owner or owner
        left.same_boot = left.same_boot and boot == _boot_id()
        for line in lines[:-1]:  # what follows the last line end was cut off by the kill
            with contextlib.suppress(ValueError):  # a torn one
                _believe(left, line)
    return left


def _believe(left: Remains, line: str) -> None:
    """Take in what a line says. Raises ValueError where none of ours says that."""
    kind, number, *words = line.split(" ")
    delivery_id = int(number)
    if kind == ">":
        left.dotted.add(delivery_id)
    elif kind == "<":
        verdict, failure, code, *text, again = words
        if again == number:
            left.outcomes[delivery_id] = Outcome(
                Verdict(verdict),
                int(code) if code != "-" else None,
                " ".join(text),
                Failure(failure) if failure != "-" else None,
            )
