"""A pump hands what the ledger has begun to one relay, over a few connections, without a stop between groups.

While messages are on the wire the next group is being begun in the ledger's thread. A group holds about as many as
leave within 0.4 seconds, and none of it leaves later than that by much: so a pause, a cancelling, a reader who goes,
looked at when the group is begun, act within a second, however slow the relay is.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Final, Protocol, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from newsletter.delivery.composing import Compose
from newsletter.delivery.endpoints import Endpoint
from newsletter.delivery.journal import Journal
from newsletter.delivery.ledger import GROUP, IN_DOUBT, Group, Lease, NotBegunError
from newsletter.delivery.opening import RelayError
from newsletter.delivery.replies import Outcome, Verdict
from newsletter.delivery.smtp import Job, Session
from newsletter.foundation.clock import monotonic
from newsletter.foundation.errors import RenderError

log = logging.getLogger(__name__)
T = TypeVar("T")
InThread = Callable[[Callable[[], T]], Awaitable[T]]
_AHEAD: Final = 0.4
"""Seconds of traffic that a group holds."""
_FRESH: Final = 0.6
"""Seconds after which what was begun is taken back rather than sent."""
_TRIES: Final = 3
"""Connections a message may lose before its dot; a relay may close after N messages (standards S3)."""
_PATIENCE: Final = 5.0
"""Seconds to wait at the end of a slice for replies; later ones are read in the next."""
_LAST_PATIENCE: Final = 8.0
"""The same when the process is to end."""
_AT_ONCE: Final = 32
"""Messages made in a row."""
_LOOK: Final = 0.1
_LONG_WAIT: Final = 2.0
"""Seconds of waiting for a limit from which on nobody keeps a chunk meanwhile."""
_TRY_AGAIN: Final = 1.0
"""Seconds between two attempts to reach a database, or a relay that takes some connections but not more."""
_UNSENT: Final = Outcome(Verdict.UNSENT)
_NEVER_TOLD: Final = Outcome(Verdict.UNKNOWN, None, "the reply was not kept")
_AGAIN: Final = (Verdict.UNSENT, Verdict.OURS)


class Clerk(Protocol):
    """What the pump asks of the ledger and the limits; all called in the ledger's thread."""

    def begin(self, relay: Endpoint, lease: Lease, size: int, told: "Told") -> "Group | float":
        """Fold `told` in and begin a group of at most `size`, or return the seconds to wait for a limit."""

    def settle(self, relay: Endpoint, told: "Told") -> None:
        """Fold in what became of deliveries."""

    def observe(self, relay: Endpoint, seen: "Seen") -> None:
        """Learn from answers how fast the relay and the mail hosts want it."""

    def release(self, lease: Lease) -> None:
        """Give a chunk back."""

    def put_off(self, lease: Lease, seconds: float) -> None:
        """Let nobody claim anything of the lease's mailing for so long."""

    def connections(self, relay: Endpoint) -> int:
        """Return how many connections to the relay this process may have now."""


@dataclass(eq=False, slots=True)
class _Draft:
    """A message on its way: begun in the ledger, not made yet or on the wire."""

    id: int
    make: Compose
    domain: str
    lease: Lease
    until: float
    lane: tuple[str, int] | None = None
    """Its group of mail hosts and how many for it may be on the wire at a time, where that is limited."""
    tries: int = 1
    job: Job | None = None
    failed: bool = False
    """No message can be made of it; the ledger is told."""


Told = Mapping[Lease, Mapping[int, Outcome]]
Seen = Sequence[tuple[str, Outcome]]
"""The domain of a reader's address and what was answered; what was accepted is not told here."""


class Pump:
    """Sends through one relay. Lives as long as its process; `run` is called for each slice of time."""

    def __init__(
        self,
        relay: Endpoint,
        clerk: Clerk,
        journal: Journal,
        in_thread: InThread[Any],
        next_lease: Callable[["Pump"], Awaitable[Lease | None]],
        ending: Callable[[], bool],
        new_session: Callable[[], Session],
    ) -> None:
        self.relay = relay
        self.problem: Outcome | None = None
        """What the relay has against us."""
        self.accepted = 0
        self.inbox: deque[Lease] = deque()
        """Leases that another pump claimed for this one."""
        self.waits: float | None = None
        """Seconds until a limit lets more go."""
        self.in_doubt = IN_DOUBT
        self.running = False
        self.journal = journal
        self._clerk, self._in_thread = clerk, in_thread
        self._next_lease, self._ending, self._new_session = next_lease, ending, new_session
        self._sessions: list[Session] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._open_after = 0.0
        self._ask_after = 0.0
        self._wanted_connections = 1
        self._counted_at = 0.0
        self._lease: Lease | None = None
        self._leases: list[Lease] = []
        self._queue: deque[_Draft] = deque()
        self._wire: dict[int, _Draft] = {}
        self._in_lane: Counter[str] = Counter()
        self._dotted: set[int] = set()
        self._told: dict[Lease, dict[int, Outcome]] = {}
        self._telling: dict[Lease, dict[int, Outcome]] = {}
        self._seen: list[tuple[str, Outcome]] = []
        self._news = asyncio.Event()
        self._halted = False
        self.no_more = False
        self._rate = 0.0
        self._finished = 0
        self._barren = 0
        """Messages in a row that each lost all their connections."""
        self._measured = (0.0, 0)
        self._kick_at = 0

    @property
    def unfinished(self) -> bool:
        """Whether something of an earlier slice is still open."""
        return bool(self._wire or self._told or self._telling or self._leases or self.inbox)

    @property
    def hungry(self) -> bool:
        """Whether it would take another lease."""
        return not self.inbox and self.problem is None and (self._lease is None or self._lease.exhausted)

    async def run(self, ends: float) -> None:
        """Send until the monotonic clock says `ends`, there is no more work, or the relay refuses us."""
        self._measured = (monotonic(), self._finished)
        try:
            while not (self._ending() or self.problem or self.no_more) and monotonic() < ends:
                try:
                    await self._work()
                except (SQLAlchemyError, NotBegunError) as error:
                    reason = type(error.__cause__ or error).__name__
                    log.warning("the ledger cannot be reached", extra={"reason": reason})
                    self._flush()
                    await asyncio.sleep(_TRY_AGAIN)
            await self._drain()
        finally:
            self.running = False

    def begin_slice(self) -> None:
        """Forget what ended the slice before."""
        self.problem, self.accepted, self.waits = None, 0, None
        self._halted, self.no_more = False, False

    def kick(self) -> None:
        """Have a look: something has changed."""
        self._news.set()

    async def _work(self) -> None:
        """Do the next thing that there is to do, or wait for something to happen."""
        await self._connect()
        if self._lease is None or self._lease.exhausted:
            await self._take_lease()
        elif self._wants_more():
            await self._refill(self._lease)
        else:
            await self._wait()

    async def _take_lease(self) -> None:
        """Take the next chunk; where there is none, finish what is under way, of which some may have to go again."""
        busy = bool(self._queue or self._wire)
        if len(self._queue) <= self._rate * _AHEAD and (monotonic() >= self._ask_after or not busy):
            lease = self.inbox.popleft() if self.inbox else await self._next_lease(self)
            if lease is not None:
                self._lease = lease
                self._leases.append(lease)
                return
            self._ask_after = monotonic() + _LOOK
        if self._queue or self._wire:
            await self._wait()
        elif self._told or self._telling:
            await self._tell(lambda told: self._clerk.settle(self.relay, told))
        else:
            self.no_more = True

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(_LOOK):
                await self._news.wait()
        except TimeoutError:
            pass
        self._news.clear()

    # -- groups

    def _wants_more(self) -> bool:
        alive = [session for session in self._sessions if session.alive]
        idle = sum(not session.busy for session in alive)
        if not alive or self._halted:
            return False
        if len(self._queue) < idle:
            return True
        under_way = len(self._queue) + len(self._wire)
        slow = any(session.slow for session in alive)
        return not slow and len(self._queue) <= self._rate * _AHEAD / 2 and under_way + self._usual() <= self.in_doubt

    def _usual(self) -> int:
        """Return how many messages leave in _AHEAD seconds, within a group's bounds."""
        connections = max(1, len(self._sessions))
        expected = int(self._rate * _AHEAD) if self._rate else 4 * connections
        return max(connections, min(GROUP, self.in_doubt // 2, expected))

    async def _refill(self, lease: Lease) -> None:
        idle = sum(session.alive and not session.busy for session in self._sessions)
        room = self.in_doubt - len(self._queue) - len(self._wire)
        size = min(max(idle, self._usual()), room, GROUP)
        if size <= 0:
            await self._wait()
            return
        self._measure()
        try:
            group = await self._tell(lambda told: self._clerk.begin(self.relay, lease, size, told))
        except NotBegunError as error:
            lease.open += len(error.ids)
            self._told.setdefault(lease, {}).update(dict.fromkeys(error.ids, _UNSENT))
            raise
        if isinstance(group, Group):
            self._take_in(lease, group)
        elif group > _LONG_WAIT:
            lease.exhausted, self.waits = True, min(group, self.waits or group)
            await self._in_thread(lambda: self._clerk.put_off(lease, group))
        else:
            await asyncio.sleep(min(group, _AHEAD))

    def _take_in(self, lease: Lease, group: Group) -> None:
        until = monotonic() + _FRESH
        domains, lanes = group.domains, group.lanes
        self._queue.extend(
            [_Draft(key, make, domains[key], lease, until, lanes.get(key)) for key, make in group.messages.items()]
        )
        self._kick_at = max(len(self._sessions), min(int(self._rate * _AHEAD / 2), self.in_doubt - self._usual()))
        if self._halted:
            self._flush()
        self._wake()

    def _wake(self) -> None:
        for session in self._sessions:
            session.wake()

    def _measure(self) -> None:
        """Keep the rate at which messages leave: a mean in which the last second counts for most."""
        then, before = self._measured
        now, gone = monotonic(), self._finished - before
        if now - then >= _LOOK:
            rate = gone / (now - then)
            self._rate = rate if not self._rate else (self._rate + rate) / 2
            self._measured = (now, self._finished)

    async def _tell(self, act: Callable[[Told], T]) -> T:
        """Let the ledger do something, with all that it has not been told; the journal forgets what it knows then."""
        if not self._telling and self._told:
            self.journal.turn()
            self._telling, self._told = self._told, {}
        telling, seen, self._seen = self._telling, self._seen, []

        def tell() -> T:
            if seen:
                self._clerk.observe(self.relay, seen)
            return act(telling)

        result: T = await self._in_thread(tell)
        if telling:
            self._telling = {}
            self.journal.forget(self._dotted)
            for lease, outcomes in telling.items():
                lease.open -= len(outcomes)
                taken_back = [key for key, outcome in outcomes.items() if outcome.verdict in _AGAIN]
                if taken_back and lease is self._lease:  # they are planned again
                    lease.position, lease.exhausted = min(lease.position, *taken_back) - 1, False
            try:
                await self._give_back(lambda lease: lease.exhausted)
            except SQLAlchemyError as error:  # the next telling gives it back; what was just begun goes on
                log.warning("a chunk cannot be given back yet", extra={"reason": type(error).__name__})
        return result

    async def _give_back(self, which: Callable[[Lease], bool]) -> None:
        """Release leases of which nothing is open."""
        for lease in [one for one in self._leases if one.open == 0 and which(one)]:
            await self._in_thread(partial(self._clerk.release, lease))
            self._leases.remove(lease)
            if lease is self._lease:
                self._lease = None

    def _flush(self) -> None:
        """Take back what has not been started."""
        while self._queue:
            draft = self._queue.popleft()
            if not draft.failed:
                self._told.setdefault(draft.lease, {})[draft.id] = _UNSENT

    async def _drain(self, *, last: bool = False) -> None:
        """Finish what is on the wire, tell the ledger everything, give the chunks back."""
        self._halted = True
        self._flush()
        begun = monotonic()
        while self._wire and monotonic() - begun < (_LAST_PATIENCE if last or self._ending() else _PATIENCE):
            await self._wait()
        if last or self._ending():
            await self._hang_up()
        try:
            while self._told or self._telling:
                await self._tell(lambda told: self._clerk.settle(self.relay, told))
            await self._give_back(lambda _: True)
        except SQLAlchemyError as error:
            log.warning("the ledger cannot be told yet", extra={"reason": type(error).__name__})

    async def _hang_up(self) -> None:
        for session in self._sessions:
            if session.busy:
                session.abort()
        while any(session.busy for session in self._sessions):  # until the loop has told them that they are gone
            await self._wait()
        for key, draft in self._wire.items():  # nobody will answer for these: an error cut in between
            self._told.setdefault(draft.lease, {})[key] = _NEVER_TOLD if key in self._dotted else _UNSENT
        self._wire.clear()

    def part(self) -> None:
        """Say goodbye to the relay; the journal lives on."""
        for session in self._sessions:
            session.close()
        self._sessions.clear()

    async def close(self) -> None:
        """Finish, say goodbye to the relay, and leave no journal if the ledger has been told everything."""
        for task in self._opening:
            task.cancel()
        await self._drain(last=True)
        self.part()
        await asyncio.sleep(0.02)
        if not self.unfinished:
            self.journal.close()

    # -- connections

    async def _connect(self) -> None:
        """Open connections that are wanted and missing, beside the work; wait only where there is none at all."""
        if self._sessions and not all(session.alive for session in self._sessions):
            self._sessions = [session for session in self._sessions if session.alive or session.busy]
        now = monotonic()
        if now - self._counted_at > 1:
            self._wanted_connections = await self._in_thread(lambda: self._clerk.connections(self.relay))
            self._counted_at = now
            for session in self._sessions[self._wanted_connections :]:
                if not session.busy:
                    session.close()
        missing = self._wanted_connections - len(self._sessions) - len(self._opening)
        if missing > 0 and now >= self._open_after and (self._lease is not None or self.inbox):
            for _ in range(missing):
                task = asyncio.get_running_loop().create_task(self._open())
                self._opening.add(task)
                task.add_done_callback(self._opening.discard)
        if self._opening and not self._sessions:
            await asyncio.wait(self._opening, timeout=_LOOK, return_when=asyncio.FIRST_COMPLETED)
        if not self._wanted_connections and not self._sessions:
            self.no_more = True  # other workers have them all

    async def _open(self) -> None:
        session = self._new_session()
        try:
            await session.open(self.relay)
        except RelayError as error:
            others = [task for task in self._opening if task is not asyncio.current_task() and not task.done()]
            if self._sessions or others:
                self._open_after = monotonic() + _TRY_AGAIN
            else:
                self.problem = error.outcome
            self.kick()
            return
        self._sessions.append(session)
        session.start(self._next_job, self._before_dot, self._done, self.kick)
        self.kick()

    # -- what connections call

    def _next_job(self) -> Job | None:
        passed_over = 0
        while len(self._queue) > passed_over and not self._halted and self.problem is None:
            draft = self._queue.popleft()
            if draft.lane is not None and self._in_lane[draft.lane[0]] >= draft.lane[1]:
                self._queue.append(draft)
                passed_over += 1
                continue
            if draft.failed:
                continue
            if monotonic() > draft.until:
                self._told.setdefault(draft.lease, {})[draft.id] = _UNSENT
                continue
            job = draft.job
            if job is None:
                self._make([draft, *islice(self._queue, _AT_ONCE - 1)])
                job = draft.job
                if job is None:
                    continue
            self._wire[draft.id] = draft
            if draft.lane is not None:
                self._in_lane[draft.lane[0]] += 1
            return job
        return None

    def _make(self, drafts: Sequence[_Draft]) -> None:
        """Make the messages of some drafts; in a row they cost a third of what each alone costs between two writes."""
        for draft in drafts:
            if draft.job is None and not draft.failed:
                try:
                    made = draft.make()
                except RenderError as error:
                    draft.failed = True
                    outcome = Outcome(Verdict.UNSENDABLE, None, str(error))
                    self._told.setdefault(draft.lease, {})[draft.id] = outcome
                else:
                    draft.job = Job(
                        draft.id, made.return_path, made.recipient, made.content, made.smtputf8, draft.until
                    )

    def _before_dot(self, job: Job) -> None:
        self.journal.about_to_send(job.id)
        self._dotted.add(job.id)

    def _done(self, job: Job, outcome: Outcome) -> None:
        draft = self._wire.pop(job.id)
        self._dotted.discard(job.id)
        if draft.lane is not None:
            self._in_lane[draft.lane[0]] -= 1
            asyncio.get_running_loop().call_soon(self._wake)
        verdict = outcome.verdict
        if verdict is not Verdict.ACCEPTED:
            self._seen.append((draft.domain, outcome))
        if verdict is Verdict.UNSENT and draft.tries < _TRIES and not self._halted:
            draft.tries += 1
            draft.job = None
            self._queue.append(draft)
            self.kick()
            return
        try:
            self.journal.told(job.id, outcome)
        except OSError:  # we know it even so; only if we are killed before the ledger does, it is unknown
            log.warning("the journal cannot be written", exc_info=True)
        self._told.setdefault(draft.lease, {})[draft.id] = outcome
        self._finished += 1
        if verdict is Verdict.ACCEPTED:
            self.accepted += 1
            self._barren = 0
            if len(self._queue) + len(self._wire) <= self._kick_at:
                self._news.set()
            return
        if not self._halted:
            self._barren = self._barren + 1 if verdict is Verdict.UNSENT else 0
        if verdict is Verdict.OURS or self._barren >= _TRIES:
            self.problem = outcome
        self.kick()
