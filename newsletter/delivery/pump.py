"""A pump hands what the ledger has begun to one relay, over a few connections, without a stop between groups.

While messages are on the wire the next group is being begun in the ledger's thread. A group holds about as many as
leave within 0.25 seconds, and none of it leaves later than 0.7 seconds after it was begun: so a pause, a cancelling, a
reader who goes, looked at when the group is begun, act within a second, however slow the relay is.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError

from newsletter.delivery.connections import Connections
from newsletter.delivery.desk import Desk, Seen, Told
from newsletter.delivery.drafts import Draft
from newsletter.delivery.endpoints import Endpoint
from newsletter.delivery.journal import Journal
from newsletter.delivery.leases import Lease
from newsletter.delivery.ledger import GROUP, Group, NotBegunError
from newsletter.delivery.outbox import UNSENT, Outbox
from newsletter.delivery.pace import Pace
from newsletter.delivery.replies import Outcome, Phase, Verdict
from newsletter.delivery.signers import Signers
from newsletter.delivery.smtp import Job, Session
from newsletter.delivery.untold import Untold
from newsletter.foundation.clock import monotonic

log = logging.getLogger(__name__)
T = TypeVar("T")
InThread = Callable[[Callable[[], T]], Awaitable[T]]
_FRESH: Final = 0.7
"""Seconds after which what was begun is taken back rather than sent."""
_TRIES: Final = 3
"""Connections a message may lose before its dot; a relay may close after N messages (standards S3)."""
_PATIENCE: Final = 5.0
"""Seconds to wait at the end of a slice for replies; later ones are read in the next."""
_LAST_PATIENCE: Final = 8.0
"""The same when the process is to end."""
_LOOK: Final = 0.1
_LONG_WAIT: Final = 2.0
"""Seconds of waiting for a limit from which on nobody keeps a chunk meanwhile."""
_SHORT_WAIT: Final = 0.4
_TRY_AGAIN: Final = 1.0
"""Seconds between two attempts to reach a database."""
_NEVER_TOLD: Final = Outcome(Verdict.UNKNOWN, None, "the reply was not kept")
_AGAIN: Final = (Verdict.UNSENT, Verdict.OURS)


class Pump:
    """Sends through one relay. Lives as long as its process; `run` is called for each slice of time."""

    def __init__(
        self,
        relay: Endpoint,
        desk: Desk,
        journal: Journal,
        in_thread: InThread[Any],
        next_lease: Callable[["Pump"], Awaitable[Lease | None]],
        ending: Callable[[], bool],
        new_session: Callable[[], Session],
        signers: Signers,
    ) -> None:
        self.relay = relay
        self.problem: Outcome | None = None
        """What the relay has against us."""
        self.accepted = 0
        self.inbox: deque[Lease] = deque()
        """Leases that another pump claimed for this one."""
        self.waits: float | None = None
        """Seconds until a limit lets more go."""
        self.running = self.no_more = False
        self.pace = Pace()
        self._desk, self._in_thread = desk, in_thread
        self._next_lease, self._ending = next_lease, ending
        self._connections = Connections(relay, self._allowed, new_session, self._opened, self._refused)
        self._ask_after = 0.0
        self._lease: Lease | None = None
        self._leases: list[Lease] = []
        self._outbox = Outbox(signers, self._note, self._signed)
        self._wire: set[Draft] = set()
        self._untold = Untold(journal)
        self._news = asyncio.Event()
        self._halted = False
        self._barren = 0
        """Messages in a row that each lost all their connections."""
        self._kick_at = 0

    @property
    def unfinished(self) -> bool:
        """Whether something of an earlier slice is still open."""
        return bool(self._wire or self._outbox.signing or self._untold or self._leases or self.inbox)

    @property
    def journal(self) -> Journal:
        """Outlives it, where its relay is changed."""
        return self._untold.journal

    @property
    def _under_way(self) -> int:
        """How many are begun and not answered."""
        return len(self._outbox) + len(self._wire)

    @property
    def hungry(self) -> bool:
        """Whether it would take another lease."""
        return not self.inbox and self.problem is None and (self._lease is None or self._lease.exhausted)

    async def run(self, time_is_over: Callable[[], bool]) -> None:
        """Send until `time_is_over`, there is no more work, or the relay refuses us."""
        self.pace.restart()
        try:
            while not (self._ending() or self.problem or self.no_more or time_is_over()):
                try:
                    await self._work()
                except (SQLAlchemyError, NotBegunError) as error:
                    _log("the ledger cannot be reached", error)
                    self._outbox.flush()
                    await asyncio.sleep(_TRY_AGAIN)
            await self._drain()
        finally:
            self.running = False

    def start(self) -> None:
        """Forget what ended it before; `run` follows."""
        self.running, self._halted, self.no_more, self.problem = True, False, False, None

    def kick(self) -> None:
        """Have a look: something has changed."""
        self._news.set()

    async def _work(self) -> None:
        """Do the next thing that there is to do, or wait for something to happen."""
        await self._connections.keep(needed=self._lease is not None or bool(self.inbox))
        if self._connections.none_allowed:
            self.no_more = True
        elif self._lease is None or self._lease.exhausted:
            await self._take_lease()
        elif self._wants_more():
            await self._refill(self._lease)
        else:
            await self._wait()

    async def _take_lease(self) -> None:
        """Take the next chunk; where there is none, finish what is under way, of which some may have to go again."""
        busy = self._under_way > 0
        if len(self._outbox) <= self.pace.ahead and (monotonic() >= self._ask_after or not busy):
            lease = self.inbox.popleft() if self.inbox else await self._next_lease(self)
            if lease is not None:
                self._lease = lease
                self._leases.append(lease)
                return
            self._ask_after = monotonic() + _LOOK
        if self._under_way:
            await self._wait()
        elif self._untold:
            await self._tell(lambda told: self._desk.settle(self.relay, told))
            await self._give_back_what_is_done()
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
        connections = self._connections
        if not connections.alive or self._halted:
            return False
        waiting = len(self._outbox)
        if waiting < connections.idle:
            return True
        fits = self._under_way + self.pace.group(len(connections)) <= self.pace.in_doubt
        return fits and waiting <= self.pace.refill and not connections.slow

    async def _refill(self, lease: Lease) -> None:
        connections = self._connections
        room = self.pace.in_doubt - self._under_way
        size = min(max(connections.idle, self.pace.group(len(connections))), room, GROUP)
        if size <= 0:
            await self._wait()
            return
        self.pace.measure()
        try:
            group = await self._tell(lambda told: self._desk.begin(self.relay, lease, size, told))
        except NotBegunError as error:
            lease.open += len(error.ids)
            for delivery_id in error.ids:
                self._untold.keep(lease, delivery_id, UNSENT)
            raise
        if isinstance(group, Group):
            self._take_in(lease, group)
            await self._give_back_what_is_done()
        elif group > _LONG_WAIT:
            lease.exhausted, self.waits = True, min(group, self.waits or group)
            await self._in_thread(lambda: self._desk.put_off(lease, group))
        else:
            await asyncio.sleep(min(group, _SHORT_WAIT))

    def _take_in(self, lease: Lease, group: Group) -> None:
        until = monotonic() + _FRESH
        domains, lanes = group.domains, group.lanes
        drafts = [Draft(key, make, domains[key], lease, until, lanes.get(key)) for key, make in group.messages.items()]
        self._outbox.put(drafts, sign=lease.composes.signs)
        wire, usual = len(self._connections), self.pace.group(len(self._connections))
        self._kick_at = max(wire, min(wire + self.pace.refill, self.pace.in_doubt - usual))
        self._send_on()

    async def _tell(self, act: Callable[[Told], T]) -> T:
        """Let the ledger do something, with all that it has not been told."""

        def tell(told: Told, seen: Seen) -> T:
            if seen:
                self._desk.observe(self.relay, seen)
            return act(told)

        result: T
        result, told = await self._untold.tell(
            lambda told, seen: self._in_thread(partial(tell, told, seen)),
            dotted=lambda: [draft.id for draft in self._wire if draft.phase is Phase.DOT],
        )
        for lease, outcomes in told.items():
            lease.open -= len(outcomes)
            taken_back = [key for key, outcome in outcomes.items() if outcome.verdict in _AGAIN]
            if taken_back and lease is self._lease:  # they are planned again
                lease.position, lease.exhausted = min(lease.position, *taken_back) - 1, False
        return result

    async def _give_back_what_is_done(self) -> None:
        try:
            await self._give_back(lambda lease: lease.exhausted)
        except SQLAlchemyError as error:  # it is tried again after the next group; what was just begun goes on
            _log("a chunk cannot be given back yet", error)

    async def _give_back(self, which: Callable[[Lease], bool]) -> None:
        """Release leases of which nothing is open."""
        for lease in [one for one in self._leases if one.open == 0 and which(one)]:
            await self._in_thread(partial(self._desk.release, lease))
            self._leases.remove(lease)
            if lease is self._lease:
                self._lease = None

    async def _drain(self, *, last: bool = False) -> None:
        """Finish what is on the wire, tell the ledger everything, give the chunks back."""
        self._halted = True
        self._outbox.flush()
        begun = monotonic()
        while (self._wire or self._outbox.signing) and monotonic() - begun < (
            _LAST_PATIENCE if last or self._ending() else _PATIENCE
        ):
            await self._wait()
        if last or self._ending():
            await self._hang_up()
        try:
            while self._untold:
                await self._tell(lambda told: self._desk.settle(self.relay, told))
            self._leases.extend(self.inbox)
            self.inbox.clear()
            await self._give_back(lambda _: True)
        except SQLAlchemyError as error:
            _log("the ledger cannot be told yet", error)

    async def _hang_up(self) -> None:
        self._connections.abort()
        while self._connections.busy:  # until the loop has told them that they are gone
            await self._wait()
        for draft in self._wire:  # nobody will answer for these: an error cut in between
            never = _NEVER_TOLD if draft.phase is Phase.DOT else UNSENT
            self._note(draft, never)
        self._wire.clear()

    def part(self) -> None:
        """Say goodbye to the relay; the journal lives on."""
        self._connections.part()

    async def close(self) -> None:
        """Finish, say goodbye to the relay, and leave no journal if the ledger has been told everything."""
        await self._drain(last=True)
        self.part()
        await asyncio.sleep(0.02)
        if not self.unfinished:
            self.journal.close()

    # -- what connections call

    async def _allowed(self) -> int:
        number: int = await self._in_thread(lambda: self._desk.connections(self.relay))
        return number

    def _opened(self, session: Session) -> None:
        session.start(self._next_job, self._before_dot, self._done, self.kick)
        self.kick()

    def _refused(self, why: Outcome) -> None:
        self.problem = why
        self.kick()

    def _next_job(self) -> Job | None:
        if self._halted or self.problem is not None:
            return None
        draft = self._outbox.take()
        if draft is not None:
            self._wire.add(draft)
        return draft

    def _send_on(self) -> None:
        """Have the connections look for what has come into the outbox; where all is to end, nothing of it leaves."""
        if self._halted:
            self._outbox.flush()
        self._connections.wake()

    def _signed(self) -> None:
        self._send_on()
        if self._under_way <= self._kick_at or self._halted:
            self.kick()

    def _note(self, draft: Draft, outcome: Outcome) -> None:
        """Keep what became of it for the ledger."""
        self._untold.keep(draft.lease, draft.id, outcome)

    def _before_dot(self, job: Job) -> None:
        self.journal.about_to_send(job.id)

    def _done(self, job: Job, outcome: Outcome) -> None:
        assert isinstance(job, Draft)
        self._wire.discard(job)
        if self._outbox.answered(job):
            asyncio.get_running_loop().call_soon(self._connections.wake)
        verdict = outcome.verdict
        if verdict is Verdict.UNSENT and job.tries < _TRIES and not self._halted:
            self._untold.see(job.domain, outcome)
            job.tries += 1
            job.phase, job.failed = Phase.MAIL, None
            self._outbox.put_back(job)
            self.kick()
            return
        self._untold.answered(job, outcome)
        self.pace.finished += 1
        if verdict is Verdict.ACCEPTED:
            self.accepted += 1
            self._barren = 0
            if self._under_way <= self._kick_at:
                self._news.set()
            return
        self._untold.see(job.domain, outcome)
        if not self._halted:
            self._barren = self._barren + 1 if verdict is Verdict.UNSENT else 0
        if verdict is Verdict.OURS or self._barren >= _TRIES:
            self.problem = outcome
        self.kick()


def _log(what: str, error: Exception) -> None:
    """Say what is tried again. Where more than the connection is at fault, say all: that will not pass by itself."""
    fault = error.__cause__ if isinstance(error, NotBegunError) else error
    away = isinstance(fault, OperationalError | InterfaceError)
    log.warning(what, extra={"reason": type(fault).__name__}, exc_info=None if away else fault)
