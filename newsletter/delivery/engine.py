"""The engine: takes leased chunks group by group and hands their messages over, a few connections at a time.

One event loop per worker process; its connections stay open between slices. While one group is on the wire the next is
being begun in the ledger's thread, so that neither waits for the other.
"""

import asyncio
import importlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Final, TypeVar

from newsletter.delivery.composing import Compose
from newsletter.delivery.endpoints import Endpoint
from newsletter.delivery.journal import Journal
from newsletter.delivery.ledger import LEASE, Group, Lease, Ledger
from newsletter.delivery.opening import RelayError
from newsletter.delivery.relaying import RelayWatch
from newsletter.delivery.replies import Outcome, Verdict
from newsletter.delivery.smtp import DOT_TIMEOUT, Job, Session
from newsletter.foundation.clock import monotonic
from newsletter.foundation.errors import NewsletterError, RenderError

loops: ModuleType
try:
    loops = importlib.import_module("uvloop")
except ImportError:  # asyncio's own loop does the same, more slowly
    loops = asyncio

_SAFE: Final = LEASE.total_seconds() - DOT_TIMEOUT - 60
"""Seconds after which a group hands nothing over any more: the reply must come while the lease still stands."""
_TRIES: Final = 3
"""Connections a message may lose before its dot within one group; a relay may close after N messages (standards S3)."""
T = TypeVar("T")


@dataclass
class Slice:
    """What one slice of work came to."""

    sent: int = 0
    more: bool = False
    """Work was left when the time was over."""


class Engine:
    """Sends what the ledger leases, through one relay."""

    def __init__(self, ledger: Ledger, relay: Endpoint, journal: Journal, watch: RelayWatch, connections: int) -> None:
        self._ledger, self._relay, self._journal, self._watch = ledger, relay, journal, watch
        self._sessions: list[Session] = []
        self._connections = connections
        self._loop: asyncio.AbstractEventLoop = loops.new_event_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self.stopping = False

    def run(self, *, bulk: bool, seconds: float) -> Slice:
        """Work for about `seconds`; returns early when there is nothing left to do or the relay refuses us."""
        return self._loop.run_until_complete(self._slice(bulk, seconds))

    def close(self) -> None:
        """Say goodbye to the relay."""

        async def goodbye() -> None:
            for session in self._sessions:
                session.close()
            await asyncio.sleep(0.05)

        self._loop.run_until_complete(goodbye())
        self._loop.close()
        self._thread.shutdown()
        self._journal.close()

    async def _slice(self, bulk: bool, seconds: float) -> Slice:
        done, ends = Slice(), monotonic() + seconds
        while monotonic() < ends and not self.stopping:
            if await self._in_thread(self._watch.paused):
                return done
            lease = await self._in_thread(lambda: self._ledger.claim(bulk=bulk))
            if lease is None:
                return done
            try:
                done.sent += await self._chunk(lease, ends)
            except NewsletterError as error:  # nothing can be composed: the publication lacks something
                problem = Outcome(Verdict.OURS, None, str(error))
                not_before = await self._in_thread(partial(self._watch.note, problem, accepted=0))
                await self._in_thread(partial(self._ledger.release, lease, not_before=not_before))
                return done
        done.more = True
        return done

    async def _chunk(self, lease: Lease, ends: float) -> int:
        """Send the chunk, or as much of it as the time allows. Returns the number of accepted messages."""
        accepted, side, problem = 0, 0, None
        told: dict[int, Outcome] = {}
        group = await self._begin(lease, told)
        while group is not None and problem is None:
            go_on = not group.last and monotonic() < ends and not self.stopping
            upcoming = self._loop.create_task(self._begin(lease, told)) if go_on else None
            outcomes: dict[int, Outcome] = {}
            problem = await self._send(group, outcomes, side)
            accepted += sum(outcome.verdict is Verdict.ACCEPTED for outcome in outcomes.values())
            if upcoming is None:
                outcomes, group = told | outcomes, None
            else:
                group = await upcoming
                self._journal.clear(1 - side)  # the ledger has been told it with the beginning of this group
            told, side = outcomes, 1 - side
        if group is not None:  # begun, but the relay has gone: nothing of it was handed over
            told |= dict.fromkeys(group.messages, Outcome(Verdict.UNSENT))
        await self._in_thread(lambda: self._ledger.settle(told))
        self._journal.clear(0)
        self._journal.clear(1)
        not_before = await self._in_thread(lambda: self._watch.note(problem, accepted=accepted))
        await self._in_thread(lambda: self._ledger.release(lease, not_before=not_before))
        return accepted

    async def _begin(self, lease: Lease, told: dict[int, Outcome]) -> Group | None:
        return await self._in_thread(lambda: self._ledger.begin_group(lease, told))

    async def _send(self, group: Group, outcomes: dict[int, Outcome], side: int) -> Outcome | None:
        """Hand over a group; fill `outcomes` with all of it. Returns what the relay has against us, if anything."""
        safe_until = monotonic() + _SAFE
        waiting = deque((delivery_id, compose, 0) for delivery_id, compose in group.messages.items())
        again: dict[int, tuple[Compose, int]] = {}
        problem: Outcome | None = None

        def done(job: Job, outcome: Outcome) -> None:
            nonlocal problem
            if outcome.verdict is Verdict.UNSENT and again[job.id][1] < _TRIES:
                compose, tries = again[job.id]
                waiting.append((job.id, compose, tries + 1))
                return
            self._journal.told(side, job.id, outcome)
            outcomes[job.id] = outcome
            if outcome.verdict is Verdict.OURS:
                problem = outcome

        def next_job() -> Job | None:
            while waiting and problem is None and not self.stopping and monotonic() < safe_until:
                delivery_id, compose, tries = waiting.popleft()
                again[delivery_id] = (compose, tries)
                try:
                    made = compose()
                except RenderError as error:
                    done(Job(delivery_id, "", "", b""), Outcome(Verdict.UNSENDABLE, None, str(error)))
                    continue
                return Job(delivery_id, made.return_path, made.recipient, made.content, made.smtputf8)
            return None

        def before_dot(job: Job) -> None:
            self._journal.about_to_send(side, job.id)

        while waiting and problem is None and not self.stopping and monotonic() < safe_until:
            try:
                sessions = await self._open(min(self._connections, len(waiting)))
            except RelayError as error:
                problem = error.outcome
                break
            await asyncio.gather(*(session.send(next_job, before_dot, done) for session in sessions))
        outcomes |= {delivery_id: Outcome(Verdict.UNSENT) for delivery_id, _, _ in waiting}
        return problem

    async def _open(self, wanted: int) -> list[Session]:
        """Return up to `wanted` open connections, new ones for those that are gone. Raises RelayError if none."""
        self._sessions = [session for session in self._sessions if session.alive]
        missing = wanted - len(self._sessions)
        if missing > 0:
            opened = [Session() for _ in range(missing)]
            results = await asyncio.gather(*(one.open(self._relay) for one in opened), return_exceptions=True)
            self._sessions += [one for one, result in zip(opened, results, strict=True) if result is None]
            failures = [result for result in results if result is not None]
            if failures and not self._sessions:
                raise failures[0]
        return self._sessions[:wanted]

    async def _in_thread(self, act: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._thread, act)
