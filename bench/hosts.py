"""Two hosts on this machine: network namespaces with a wire to where the relay is, each with a worker of its own."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from bench import sinks
from bench.figures import Figure, Goal
from bench.measuring import Effort
from bench.places import CONNECTIONS
from bench.sending import Sent, Station, start_worker, station
from newsletter.foundation.ports import LOOPBACK
from tests.journeys.processes import Installation
from tests.servers.binaries import works

_ROUND_TRIP: Final = 0.02
_TWICE: Final = Goal("≥", 1.9, of_peer=True)
_NAME: Final = f"bench{os.getpid()}"


@dataclass(frozen=True)
class Host:
    """Where a worker may run: the words before its command, and the address under which it sees the relay."""

    before: Sequence[str]
    relay: str


def measure(effort: Effort) -> Iterator[Figure]:
    """Measure the pace of two workers beside one of them alone, at a round trip of 20 ms to the relay."""
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(_host(number)) for number in (1, 2)] if _may_make_hosts() else []
        sink = stack.enter_context(sinks.running(delay=_ROUND_TRIP, everywhere=bool(made)))
        first, second = made or [Host((), LOOPBACK)] * 2
        url = "smtp://{}:" + f"{sink.port}?starttls=opportunistic"
        count = round(CONNECTIONS / _ROUND_TRIP * effort.stretch * 1.5)
        ours = stack.enter_context(station("postgresql", url.format(first.relay), count, before=first.before))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        other = stack.enter_context(
            Installation(folder, url.format(second.relay), ours.place.database_url, more=ours.place.more)
        )
        alone, together = [], []
        for _ in range(effort.few_rounds):
            alone.append(ours.digest().pace)
            together.append(_with_another(ours, other, second).pace)
    where = "network namespaces" if made else "processes: no right to make network namespaces"
    peer = f"one worker; hosts are {where}"
    yield Figure("two-hosts", median(together), "mails/s", peer, median(alone), _TWICE)


def _with_another(ours: Station, place: Installation, host: Host) -> Sent:
    worker = start_worker(place, host.before)
    try:
        return ours.digest(also=[worker])
    finally:
        worker.terminate()
        worker.wait(15)


def _may_make_hosts() -> bool:
    probe = f"{_NAME}p"
    return works("ip", "netns", "add", probe) and works("ip", "netns", "delete", probe)


@contextlib.contextmanager
def _host(number: int) -> Iterator[Host]:
    """Give a network namespace that sees nothing but us, over a pair of virtual cards."""
    name, card, here = f"{_NAME}n{number}", f"b{os.getpid()}c{number}", f"198.18.{number}.1"
    within = ("ip", "netns", "exec", name)
    steps = (
        ("ip", "link", "add", card, "type", "veth", "peer", "name", "eth0", "netns", name),
        ("ip", "address", "add", f"{here}/30", "dev", card),
        ("ip", "link", "set", card, "up"),
        (*within, "ip", "address", "add", f"198.18.{number}.2/30", "dev", "eth0"),
        (*within, "ip", "link", "set", "eth0", "up"),
        (*within, "ip", "link", "set", "lo", "up"),
    )
    _do("ip", "netns", "add", name)
    try:
        for step in steps:
            _do(*step)
        renamed = ("unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', f"host{number}")
        yield Host((*within, *renamed), here)
    finally:
        _do("ip", "netns", "delete", name)  # and with it both cards


def _do(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=30)
