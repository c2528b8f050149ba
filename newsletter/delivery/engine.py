"""The engine: the worker process's event loop, its pumps (one for each relay), and the thread that keeps the ledger.

Everything that touches the database happens in one thread beside the loop, so that neither waits for the other.
"""

import asyncio
import importlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Final, TypeVar

from newsletter.delivery.desk import Desk
from newsletter.delivery.endpoints import Endpoint
from newsletter.delivery.journal import Journal
from newsletter.delivery.leases import Lease
from newsletter.delivery.ledger import IN_DOUBT
from newsletter.delivery.pump import Pump
from newsletter.delivery.signers import Signers
from newsletter.delivery.smtp import Session
from newsletter.foundation.clock import monotonic

loops: ModuleType
try:
    loops = importlib.import_module("uvloop")
except ImportError:  # asyncio's own loop does the same, more slowly
    loops = asyncio

T = TypeVar("T")
_DECIDED: Final = 0.3
"""Seconds before the end of a slice at which it is decided whether it goes on: before the pumps begin to finish."""


@dataclass
class Slice:
    """What one slice of work came to."""

    sent: int = 0
    more: bool = False
    """Work was left when the time was over."""
    wait: float | None = None
    """Seconds until a limit lets more go; nobody holds what waits for it."""


class Engine:
    """Sends what the ledger leases, through the relays that take it."""

    def __init__(
        self,
        desk: Desk,
        journal: Callable[[int], Journal],
        ending: Callable[[], bool] = bool,
        new_session: Callable[[], Session] = Session,
    ) -> None:
        """`journal` makes this process's journals by number; `ending` tells whether the process is to end."""
        self._desk, self._journal, self._new_session = desk, journal, new_session
        self._spare: Journal | None = journal(0)
        """There before anything is leased: whoever finds it gives back what its owner held."""
        self._pumps: dict[int, Pump] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._bulk, self._ends = True, 0.0
        self._outdated = False
        """Whether an operator has changed a relay that is in use: it is taken up when the slice is over."""
        self._claiming = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop = loops.new_event_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._signers = Signers()
        self._ending = ending

    def run(self, *, bulk: bool, seconds: float, go_on: Callable[[], bool] = bool) -> Slice:
        """Work for about `seconds`, and for as many again as often as `go_on` says so: each end costs a round trip.

        Returns early when there is nothing left to do or the relays refuse us.
        """
        return self._loop.run_until_complete(self._slice(bulk, seconds, go_on))

    def close(self) -> None:
        """Finish, and say goodbye to the relays."""

        async def goodbye() -> None:
            for pump in self._pumps.values():
                await pump.close()
            await self._in_thread(self._desk.close)
            if self._spare is not None:
                self._spare.close()

        self._loop.run_until_complete(goodbye())
        self._loop.close()
        self._thread.shutdown()
        self._signers.close()

    async def _slice(self, bulk: bool, seconds: float, go_on: Callable[[], bool]) -> Slice:
        self._bulk, self._ends, self._outdated = bulk, monotonic() + seconds, False
        sent = 0
        for pump in self._pumps.values():
            pump.waits = None
            if pump.unfinished:
                self._start(pump)
        await self._lease_for(None)
        self._ends = monotonic() + seconds  # what had to be made first does not count
        while self._tasks:
            left = self._ends - _DECIDED - monotonic()
            done, _ = await asyncio.wait(
                self._tasks, timeout=left if left > 0 else None, return_when=asyncio.FIRST_COMPLETED
            )
            self._tasks -= done  # others may have begun meanwhile
            for task in done:
                task.result()  # a fault of ours must be seen; its chunk rests until the lease has run out
            sent += await self._note()
            if self._tasks and 0 < self._ends - monotonic() <= _DECIDED and not self._outdated and go_on():
                self._ends += seconds
        left_open = any(pump.unfinished for pump in self._pumps.values())  # the ledger could not be told
        more = (self._time_is_over() or left_open) and not self._ending()
        waits = [pump.waits for pump in self._pumps.values()]
        if not more:
            waits.append(await self._in_thread(self._desk.seconds_to_next))
        return Slice(sent, more, min((one for one in waits if one is not None), default=None))

    def _time_is_over(self) -> bool:
        return monotonic() >= self._ends

    async def _note(self) -> int:
        """Note how it went with each relay; return how many mails were accepted since the last time."""
        sent = 0
        for pump in self._pumps.values():
            problem, accepted = (None if pump.running else pump.problem), pump.accepted
            pump.accepted = 0
            await self._in_thread(partial(self._desk.watch.note, pump.relay.id, problem, accepted=accepted))
            if problem is not None:
                pump.problem = None
            sent += accepted
        return sent

    def _start(self, pump: Pump) -> None:
        if not pump.running:
            pump.start()
            self._tasks.add(self._loop.create_task(pump.run(self._time_is_over)))

    async def _lease_for(self, asking: Pump | None) -> Lease | None:
        """Claim a chunk for the pump that asks. What another relay is to take goes to that one's pump."""
        async with self._claiming:
            while True:
                if asking is not None and asking.inbox:
                    return asking.inbox.popleft()
                if self._time_is_over() or self._ending():
                    return None
                claimed = await self._in_thread(lambda: self._desk.claim(bulk=self._bulk))
                if claimed is None:
                    return None
                lease, endpoints = claimed
                pumps = [self._pump(endpoint) for endpoint in endpoints]
                chosen = next((pump for pump in pumps if pump is asking or pump.hungry), None)
                if chosen is None:
                    await self._in_thread(partial(self._desk.release, lease))
                    return None
                if chosen is asking:
                    return lease
                chosen.inbox.append(lease)
                chosen.kick()
                self._start(chosen)
                if asking is None:  # that was only to get somebody going
                    return None

    def _pump(self, relay: Endpoint) -> Pump:
        """Return the relay's pump. One whose relay was changed by an operator makes way when it has finished."""
        pump = self._pumps.get(relay.id)
        if pump is not None and pump.relay != relay:
            self._outdated = True
        if pump is None or (pump.relay != relay and not pump.running and not pump.unfinished):
            if pump is not None:
                pump.part()
            journal = pump.journal if pump else self._next_journal()
            pump = Pump(
                relay,
                self._desk,
                journal,
                self._in_thread,
                self._lease_for,
                self._ending,
                self._new_session,
                self._signers,
            )
            self._pumps[relay.id] = pump
            for each in self._pumps.values():
                each.pace.in_doubt = IN_DOUBT // len(self._pumps)
        return pump

    def _next_journal(self) -> Journal:
        journal, self._spare = self._spare or self._journal(len(self._pumps)), None
        return journal

    async def _in_thread(self, act: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._thread, act)
