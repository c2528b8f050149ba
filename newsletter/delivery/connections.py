"""The connections of a worker process to one relay: opened beside the work, as many as it may have just now."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from newsletter.delivery.endpoints import Endpoint
from newsletter.delivery.opening import RelayError
from newsletter.delivery.replies import Outcome
from newsletter.delivery.smtp import Session
from newsletter.foundation.clock import monotonic

_COUNT_AGAIN: Final = 1.0
"""Seconds for which the number of connections that others leave us holds."""
_TRY_AGAIN: Final = 1.0
"""Seconds between two attempts, where a relay takes some connections but not more."""
_FIRST: Final = 0.1
"""Seconds to wait for the first one before the caller looks around."""


class Connections:
    """Keeps sessions with a relay open; `opened` is handed each new one, `refused` why there can be none."""

    def __init__(
        self,
        relay: Endpoint,
        allowed: Callable[[], Awaitable[int]],
        new_session: Callable[[], Session],
        opened: Callable[[Session], object],
        refused: Callable[[Outcome], object],
    ) -> None:
        """`allowed` tells how many there may be."""
        self._relay, self._allowed, self._new_session = relay, allowed, new_session
        self._opened, self._refused = opened, refused
        self._sessions: list[Session] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._wanted = 1
        self._counted_at = 0.0
        self._open_after = 0.0

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def alive(self) -> bool:
        """Whether there is one to send through."""
        return any(session.alive for session in self._sessions)

    @property
    def idle(self) -> int:
        """How many wait for a message."""
        return sum(session.alive and not session.busy for session in self._sessions)

    @property
    def busy(self) -> bool:
        """Whether a message is under way."""
        return any(session.busy for session in self._sessions)

    @property
    def slow(self) -> bool:
        """Whether one of them waited long for its last reply."""
        return any(session.alive and session.slow for session in self._sessions)

    @property
    def none_allowed(self) -> bool:
        """Whether other workers have them all."""
        return not self._wanted and not self._sessions

    async def keep(self, *, needed: bool) -> None:
        """Open those that are `needed` and missing; wait only where there is none at all."""
        if not all(session.alive for session in self._sessions):
            self._sessions = [session for session in self._sessions if session.alive or session.busy]
        now = monotonic()
        if now - self._counted_at > _COUNT_AGAIN:
            self._wanted = await self._allowed()
            self._counted_at = now
            for session in self._sessions[self._wanted :]:
                if not session.busy:
                    session.close()
        missing = self._wanted - len(self._sessions) - len(self._opening)
        if missing > 0 and needed and now >= self._open_after:
            for _ in range(missing):
                task = asyncio.get_running_loop().create_task(self._open())
                self._opening.add(task)
                task.add_done_callback(self._opening.discard)
        if self._opening and not self._sessions:
            await asyncio.wait(self._opening, timeout=_FIRST, return_when=asyncio.FIRST_COMPLETED)

    def wake(self) -> None:
        """Let those that are idle look for a message."""
        for session in self._sessions:
            session.wake()

    def abort(self) -> None:
        """Cut those that are busy; what was under way is told of it by and by."""
        for session in self._sessions:
            if session.busy:
                session.abort()

    def part(self) -> None:
        """Say goodbye to the relay, where nothing is under way."""
        for task in self._opening:
            task.cancel()
        for session in self._sessions:
            session.close()
        self._sessions.clear()

    async def _open(self) -> None:
        session = self._new_session()
        try:
            await session.open(self._relay)
        except RelayError as error:
            others = [task for task in self._opening if task is not asyncio.current_task() and not task.done()]
            if self._sessions or others:
                self._open_after = monotonic() + _TRY_AGAIN
            else:
                self._refused(error.outcome)
            return
        self._sessions.append(session)
        self._opened(session)
