"""The engine: the worker process's event loop, its pumps (one for each relay), and the thread that keeps the ledger.

Everything that touches the database happens in one thread beside the loop, so that neither waits for the other.
"""

import asyncio
import datetime
import importlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Final, Protocol, TypeVar

from newsletter.delivery.composing import CannotComposeError
from newsletter.delivery.endpoints import Endpoint
from newsletter.delivery.journal import Journal
from newsletter.delivery.ledger import IN_DOUBT, Group, Lease, Ledger
from newsletter.delivery.limits import Grant
from newsletter.delivery.pump import Pump, Seen, Told
from newsletter.delivery.replies import Outcome
from newsletter.delivery.smtp import Session
from newsletter.foundation.clock import monotonic, utc_now

loops: ModuleType
try:
    loops = importlib.import_module("uvloop")
except ImportError:  # asyncio's own loop does the same, more slowly
    loops = asyncio

_NO_RELAY: Final = datetime.timedelta(seconds=30)
"""How long a mailing waits that no relay takes, and none will by itself."""
_MENDING: Final = datetime.timedelta(minutes=1)
"""How long a mailing waits for the publication to get what every mail needs."""
T = TypeVar("T")


class Throttle(Protocol):
    """The limits of relays, mail hosts and mailings, shared by all workers."""

    def ask(self, relay_id: int, mailing_id: int, per_hour: int | None, wanted: int, *, bulk: bool) -> Grant:
        """Return how many messages may go now."""

    def give_back(self, relay_id: int, mailing_id: int, per_hour: int | None, unused: int) -> None:
        """Give back what was granted and not used."""

    def sort_out(
        self, domains: Mapping[int, str], now: datetime.datetime, *, bulk: bool
    ) -> dict[int, datetime.datetime]:
        """Return the deliveries that must wait for their mail hosts, and until when."""

    def lanes(self, domains: Mapping[int, str], now: datetime.datetime) -> dict[int, tuple[str, int]]:
        """Return the deliveries of which only so many may be on the wire at a time, with their group of mail hosts."""

    def connections(self, relay_id: int, wanted: int) -> int:
        """Return this process's share of the relay's connections."""

    def close(self) -> None:
        """Let go of all connections."""

    def observe(self, relay_id: int, seen: Iterable[tuple[str, Outcome]], now: datetime.datetime) -> None:
        """Slow down where answers ask for it."""


class Watch(Protocol):
    """What relays have against us."""

    def note(self, relay_id: int, problem: Outcome | None, *, accepted: int) -> datetime.datetime | None:
        """Note how it went; returns when to go on, if the relay has a problem with us."""


class Breaker(Protocol):
    """Sees when a mailing had better pause."""

    def observe(self, mailing_id: int, outcomes: Iterable[Outcome]) -> str:
        """Return why the mailing should pause now, or an empty text."""

    def forget(self, mailing_id: int) -> None:
        """Forget a mailing's answers: it has been paused."""

    def observe_relay(self, relay_id: int, outcomes: Iterable[Outcome]) -> str:
        """Return why the relay should be held, or an empty text."""


@dataclass(frozen=True)
class Desk:
    """Whom the engine asks and tells around the wire. All of them are called in the ledger's thread."""

    ledger: Ledger
    relays: Callable[[str, str], list[Endpoint]]
    """From address and stream → the relays that take such mail now, the one to use first."""
    ready_at: Callable[[str, str], datetime.datetime | None]
    """From address and stream → when one of those will that are paused now; None if an operator must act."""
    throttle: Throttle
    watch: Watch
    breaker: Breaker
    broken: Callable[[int, str], None]
    """Pauses a mailing for the reason given, and tells the operators."""
    hold: Callable[[int, str], None]
    """Does the same with a relay."""

    # What a pump calls.

    def begin(self, relay: Endpoint, lease: Lease, size: int, told: Told) -> Group | float:
        """Ask the limits, then the ledger. Returns a group, or the seconds to wait for a limit."""
        grant = self.throttle.ask(relay.id, lease.mailing_id, lease.per_hour, size, bulk=lease.bulk)
        others = {one: outcomes for one, outcomes in told.items() if one is not lease or not grant.granted}
        self.settle(relay, others)
        if not grant.granted:
            return grant.wait
        per_hour, own = lease.per_hour, told.get(lease, {})
        group = Group()
        try:
            sort_out = partial(self._sort_out, bulk=lease.bulk)
            group = self.ledger.begin(lease, grant.granted, own, relay.id, sort_out)
        finally:
            if unused := grant.granted - len(group.messages):
                self.throttle.give_back(relay.id, lease.mailing_id, per_hour, unused)
        self._look_at(relay, {lease: own})
        group.lanes = self.throttle.lanes(group.domains, utc_now())
        if lease.exhausted and not group.messages:  # it may have been paused; after that it is judged by new answers
            self.breaker.forget(lease.mailing_id)
        return group

    def settle(self, relay: Endpoint, told: Told) -> None:
        """Fold in what became of deliveries."""
        for lease, outcomes in told.items():
            self.ledger.settle(lease, outcomes, relay.id)
        self._look_at(relay, told)

    def observe(self, relay: Endpoint, seen: Seen) -> None:
        """Learn from answers how fast the relay and the mail hosts want it."""
        self.throttle.observe(relay.id, seen, utc_now())

    def _sort_out(self, domains: Mapping[int, str], *, bulk: bool) -> Mapping[int, datetime.datetime]:
        return self.throttle.sort_out(domains, utc_now(), bulk=bulk)

    def release(self, lease: Lease) -> None:
        """Give a chunk back."""
        self.ledger.release(lease)

    def put_off(self, lease: Lease, seconds: float) -> None:
        """Let nobody claim anything of the lease's mailing for so long."""
        self.ledger.put_off(lease.mailing_id, utc_now() + datetime.timedelta(seconds=seconds))

    def connections(self, relay: Endpoint) -> int:
        """Return how many connections to the relay this process may have now."""
        return self.throttle.connections(relay.id, relay.connections)

    def _look_at(self, relay: Endpoint, told: Told) -> None:
        for lease, outcomes in told.items():
            if because := self.breaker.observe(lease.mailing_id, outcomes.values()):
                self.broken(lease.mailing_id, because)
                lease.exhausted = True
            if because := self.breaker.observe_relay(relay.id, outcomes.values()):
                self.hold(relay.id, because)
                lease.exhausted = True

    # What the engine calls.

    def claim(self, *, bulk: bool) -> tuple[Lease, list[Endpoint]] | None:
        """Lease the next chunk that a relay takes now; None when there is none."""
        while True:
            try:
                lease = self.ledger.claim(bulk=bulk)
            except CannotComposeError as error:
                self.ledger.put_off(error.mailing_id, utc_now() + _MENDING, because=str(error))
                continue
            if lease is None:
                return None
            endpoints = self.relays(lease.sender, lease.stream)
            if endpoints:
                return lease, endpoints
            self.ledger.put_off(lease.mailing_id, self.ready_at(lease.sender, lease.stream) or utc_now() + _NO_RELAY)
            self.ledger.release(lease)

    def close(self) -> None:
        """Let go of connections to relays and to the database."""
        self.throttle.close()
        self.ledger.close()

    def seconds_to_next(self) -> float | None:
        """Return the seconds until a deferred delivery is due, at least one."""
        due_at = self.ledger.next_due()
        return None if due_at is None else max(1.0, (due_at - utc_now()).total_seconds())


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
        """`journal` makes the journal for a relay's id; `ending` tells whether the process is to end."""
        self._desk, self._journal, self._new_session = desk, journal, new_session
        self._pumps: dict[int, Pump] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._bulk, self._ends = True, 0.0
        self._claiming = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop = loops.new_event_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._ending = ending

    def run(self, *, bulk: bool, seconds: float) -> Slice:
        """Work for about `seconds`; returns early when there is nothing left to do or the relays refuse us."""
        return self._loop.run_until_complete(self._slice(bulk, seconds))

    def close(self) -> None:
        """Finish, and say goodbye to the relays."""

        async def goodbye() -> None:
            for pump in self._pumps.values():
                await pump.close()
            await self._in_thread(self._desk.close)

        self._loop.run_until_complete(goodbye())
        self._loop.close()
        self._thread.shutdown()

    async def _slice(self, bulk: bool, seconds: float) -> Slice:
        self._bulk, self._ends = bulk, monotonic() + seconds
        for pump in self._pumps.values():
            pump.begin_slice()
            if pump.unfinished:
                self._start(pump)
        await self._lease_for(None)
        while self._tasks:
            await asyncio.wait(self._tasks)
            self._tasks = {task for task in self._tasks if not task.done()}
        ran = list(self._pumps.values())
        for pump in ran:
            await self._in_thread(partial(self._desk.watch.note, pump.relay.id, pump.problem, accepted=pump.accepted))
        more = monotonic() >= self._ends and not self._ending()
        waits = [pump.waits for pump in ran] if more else [*(pump.waits for pump in ran), await self._next_due()]
        return Slice(
            sent=sum(pump.accepted for pump in ran),
            more=more,
            wait=min((one for one in waits if one is not None), default=None),
        )

    async def _next_due(self) -> float | None:
        return await self._in_thread(self._desk.seconds_to_next)

    def _start(self, pump: Pump) -> None:
        if not pump.running:
            pump.running, pump.no_more = True, False
            self._tasks.add(self._loop.create_task(pump.run(self._ends)))

    async def _lease_for(self, asking: Pump | None) -> Lease | None:
        """Claim a chunk for the pump that asks. What another relay is to take goes to that one's pump."""
        async with self._claiming:
            while True:
                if asking is not None and asking.inbox:
                    return asking.inbox.popleft()
                if monotonic() >= self._ends or self._ending():
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
        if pump is None or (pump.relay != relay and not pump.running and not pump.unfinished):
            if pump is not None:
                pump.part()
            journal = pump.journal if pump else self._journal(relay.id)
            pump = Pump(relay, self._desk, journal, self._in_thread, self._lease_for, self._ending, self._new_session)
            self._pumps[relay.id] = pump
            for each in self._pumps.values():
                each.in_doubt = IN_DOUBT // len(self._pumps)
        return pump

    async def _in_thread(self, act: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._thread, act)
