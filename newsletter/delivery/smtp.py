"""An SMTP client that knows in which phase it was: pipelined where the relay offers it (RFC 2920), else in lock-step.

One recipient per transaction, connections kept open. The end of one message and the envelope of the next travel in one
write, so a message costs one round trip. Handed the dot and not told the reply, a message is *unknown*; before that it
is *unsent*: nothing else decides between the two.
"""

import asyncio
import enum
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from newsletter.delivery.endpoints import Endpoint
from newsletter.delivery.envelopes import Envelopes
from newsletter.delivery.opening import open_relay
from newsletter.delivery.replies import Outcome, Phase, Verdict, judge, lost
from newsletter.foundation.clock import monotonic

COMMAND_TIMEOUT: Final = 60.0
DOT_TIMEOUT: Final = 300.0
"""Seconds to wait for the reply to the dot; a lease must outlive it (RFC 5321 section 4.5.3.2.6 would wait longer)."""
FOREVER: Final = float("inf")
_WATCH: Final = 1.0
"""Seconds between two looks at the clock of a busy connection: timers for each message would cost more than it."""
_SLOW: Final = 0.3
"""Seconds for a reply to the dot from which on the next envelope waits for it: what is prepared must be fresh."""
_LONGEST_LINE: Final = 10_000
_MOST_LINES: Final = 200


@dataclass(slots=True, eq=False)
class Job:
    """One message to hand over. `pieces` in a row stand between DATA and the final dot, dot-stuffed."""

    id: int
    sender: str
    recipient: str
    pieces: Sequence[bytes]
    utf8: bool = False
    """An address needs SMTPUTF8 (RFC 6531)."""
    until: float = FOREVER
    """Seconds of the monotonic clock after which its dot must not be written any more."""
    phase: Phase = Phase.MAIL
    failed: Outcome | None = None


class _Step(enum.Enum):
    """What a reply answers."""

    MAIL = Phase.MAIL
    RCPT = Phase.RCPT
    DATA = Phase.DATA
    DOT = Phase.DOT
    VOID = None
    """A command that only clears up."""


_MAIL, _RCPT, _DATA, _DOT, _VOID = _Step.MAIL, _Step.RCPT, _Step.DATA, _Step.DOT, _Step.VOID
_YES: Final = (b"250 ", b"251 ")

NextJob = Callable[[], Job | None]
BeforeDot = Callable[[Job], object]
Done = Callable[[Job, Outcome], None]


def _nothing() -> None:
    """Do nothing."""


class Session(asyncio.Protocol):
    """One connection. `open()` greets it; `start()` lets it take jobs whenever there are some.

    `next_job` returns the next job, or None: then the session is idle until `wake()`. `before_dot` is called just
    before the content of a job is handed to the transport, `done` once for each job taken; `idle` when there is nothing
    left to do, and when the connection has gone.
    """

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self.alive = False
        self.extensions: dict[str, str] = {}
        self._encrypts = self._pipelining = False
        self._envelopes = Envelopes({})
        self._partial = b""
        self._lines: list[bytes] = []
        self._last_yes = b""
        self._as_judged = Outcome(Verdict.UNSENT)
        """What the last yes to a dot came to: many relays say the same to all."""
        self._expected: deque[tuple[_Step, Job]] = deque()
        self._lockstep: deque[tuple[bytes, tuple[_Step, Job]]] = deque()
        self._deadline = FOREVER
        self._dotted_at = 0.0
        self.slow = False
        """Whether its last reply to a dot took long."""
        self._watch: asyncio.TimerHandle | None = None
        self._why = "the relay closed the connection"
        self._code: int | None = None
        self._idle: Callable[[], object] = _nothing

    async def open(self, relay: Endpoint) -> None:
        """Connect, greet, secure and authenticate. Raises RelayError."""
        opened = await open_relay(relay, self)
        self._transport, self.extensions, self.alive = opened.transport, opened.extensions, True
        self._encrypts = self._transport.get_extra_info("sslcontext") is not None
        self._pipelining = "PIPELINING" in self.extensions
        self._envelopes = Envelopes(self.extensions)

    # -- the work: a machine driven by replies

    @property
    def busy(self) -> bool:
        """Whether a message is under way."""
        return bool(self._expected or self._lockstep)

    def start(
        self, next_job: NextJob, before_dot: BeforeDot, done: Done, idle: Callable[[], object] = _nothing
    ) -> None:
        """Take jobs from now on."""
        self._next_job, self._before_dot, self._done, self._idle = next_job, before_dot, done, idle
        self.wake()

    def wake(self) -> None:
        """Look for a job, if there is none under way."""
        if self.alive and not self.busy:
            self._begin_next()

    async def send(self, next_job: NextJob, before_dot: BeforeDot, done: Done) -> None:
        """Hand over jobs until `next_job` returns None or the connection is lost; never raises for a lost relay."""
        finished = asyncio.get_running_loop().create_future()
        self.start(next_job, before_dot, done, lambda: None if finished.done() else finished.set_result(None))
        if self.busy:
            await finished

    def _begin_next(self, head: Sequence[bytes] = ()) -> None:
        """Write `head` and the envelope of the next job, or become idle."""
        taken = None if head and self.slow else self._take()
        if taken is None:
            if head:
                self._write(head)
            else:
                self._deadline = FOREVER
                self._idle()
            return
        job, envelope = taken
        if self._pipelining:
            self._expected.extend(((_MAIL, job), (_RCPT, job), (_DATA, job)))
            self._write((*head, envelope))
        else:
            commands = envelope.splitlines(keepends=True)
            self._lockstep.extend(zip(commands, ((_MAIL, job), (_RCPT, job), (_DATA, job)), strict=True))
            if head:
                self._write(head)
            else:
                self._advance()

    def _take(self) -> tuple[Job, bytes] | None:
        """Return the next job that this relay can be offered, and its envelope."""
        while (job := self._next_job()) is not None:
            written = self._envelopes.write(job.id, job.sender, job.recipient, job.pieces, utf8=job.utf8)
            if isinstance(written, bytes):
                return job, written
            self._done(job, written)
        return None

    def _advance(self) -> None:
        command, step = self._lockstep.popleft()
        self._expected.append(step)
        self._write((command,))

    def _write(self, pieces: Sequence[bytes]) -> None:
        if self._encrypts:  # each piece would become a record of its own
            self._transport.write(b"".join(pieces))
        else:
            self._transport.writelines(pieces)
        self._deadline = monotonic() + COMMAND_TIMEOUT
        if self._watch is None:
            self._watch = asyncio.get_running_loop().call_later(_WATCH, self._look_at_the_clock)

    def _look_at_the_clock(self) -> None:
        self._watch = None
        if not self.alive:
            return
        if monotonic() > self._deadline:
            self._hang_up("the relay did not answer in time")
        elif self.busy:
            self._watch = asyncio.get_running_loop().call_later(_WATCH, self._look_at_the_clock)

    def _on_reply(self, code: int, text: str) -> None:
        if not self._expected:
            self._hang_up(text if code == 421 else "the relay spoke out of turn")
            return
        step, job = self._expected.popleft()
        if step is _DOT:
            self._after_dot(job, judge(Phase.DOT, code, text, utf8=job.utf8))
        elif step is _VOID:
            if code == 421:
                self._hang_up(text, code)
            elif not self._expected:
                self._begin_next()
        else:
            self._on_envelope(step, job, code, text)

    def _after_dot(self, job: Job, outcome: Outcome) -> None:
        now = monotonic()
        self.slow = now - self._dotted_at > _SLOW
        self._done(job, outcome)
        if outcome.code == 421:
            self._hang_up(outcome.text, outcome.code)
        elif self._expected:
            self._deadline = now + COMMAND_TIMEOUT
        elif self._lockstep:
            self._advance()
        else:
            self._begin_next()

    def _on_envelope(self, step: _Step, job: Job, code: int, text: str) -> None:
        phase: Phase = step.value
        if code == 421:
            if step is not _MAIL:  # to MAIL it says nothing about this message: another connection takes it
                job.failed = job.failed or judge(phase, code, text, utf8=job.utf8)
            self._expected.appendleft((step, job))
            self._hang_up(text, code)
            return
        fine = code == 354 if step is _DATA else 200 <= code < 300
        if not fine and job.failed is None:
            job.failed = judge(phase, code, text, utf8=job.utf8)
        if not self._pipelining:
            if job.failed:
                self._lockstep.clear()
                self._give_up(job, job.failed, b"RSET\r\n")
            elif step is _DATA:
                self._content(job)
            else:
                self._advance()
        elif step is _DATA:
            if job.failed is None:
                self._content(job)
            elif fine:
                self._give_up(job, job.failed, b".\r\n")  # RFC 2920 section 3.1: DATA was taken without a recipient
            else:
                self._give_up(job, job.failed, b"RSET\r\n")

    def _give_up(self, job: Job, outcome: Outcome, command: bytes) -> None:
        self._expected.append((_VOID, job))
        self._write((command,))
        self._done(job, outcome)

    def _content(self, job: Job) -> None:
        now = monotonic()
        if now > job.until:
            self._expected.appendleft((_DATA, job))
            self._hang_up("what was prepared was no longer fresh")
            return
        try:
            self._before_dot(job)
        except OSError as error:  # nothing leaves that could not be written down
            self._expected.appendleft((_DATA, job))
            self._hang_up(f"the journal cannot be written: {error}")
            return
        job.phase = Phase.DOT
        self._dotted_at = now
        self._expected.append((_DOT, job))
        self._begin_next((*job.pieces, b".\r\n"))
        self._deadline = now + DOT_TIMEOUT

    # -- what comes in, and the end

    def data_received(self, data: bytes) -> None:
        lines = (self._partial + data).split(b"\r\n") if self._partial else data.split(b"\r\n")
        self._partial = lines.pop()
        if len(self._partial) > _LONGEST_LINE or len(self._lines) > _MOST_LINES:
            self._hang_up("the relay's reply has no end")
            return
        expected = self._expected
        for line in lines:
            if not self.alive:  # hung up on an earlier line: what follows is no answer to anything
                return
            if expected and not self._lines:  # the short way, for the replies of a message that goes well
                step, job = expected[0]
                code = line[:4]
                if step is _DOT:
                    if code == b"250 ":
                        expected.popleft()
                        self._taken(job, line)
                        continue
                elif step is _DATA:
                    if code == b"354 " and job.failed is None:
                        expected.popleft()
                        self._content(job)
                        continue
                elif code in _YES and self._pipelining and step is not _VOID:
                    expected.popleft()
                    continue
            self._on_line(line)

    def _taken(self, job: Job, line: bytes) -> None:
        if line != self._last_yes:
            self._last_yes, self._as_judged = line, judge(Phase.DOT, 250, line[4:].decode("utf-8", "replace"))
        self._after_dot(job, self._as_judged)

    def _on_line(self, line: bytes) -> None:
        self._lines.append(line[4:])
        if line[3:4] == b"-":
            return
        text = b"\n".join(self._lines).decode("utf-8", "replace")
        self._lines = []
        if line[:3].isdigit():
            self._on_reply(int(line[:3]), text)
        else:
            self._hang_up("the relay does not speak SMTP")

    def eof_received(self) -> bool:
        """Close our side too."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.alive = False
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        why = str(exc) if exc else self._why
        under_way = {
            job.id: job for step, job in (*self._expected, *(step for _, step in self._lockstep)) if step is not _VOID
        }
        self._expected.clear()
        self._lockstep.clear()
        for job in under_way.values():
            self._done(job, job.failed or lost(job.phase, why)._replace(code=self._code))
        self._idle()

    def _hang_up(self, why: str, code: int | None = None) -> None:
        self._why, self._code = why, code
        self.alive = False
        self._transport.abort()

    def abort(self) -> None:
        """Cut the connection; what is under way is unsent, or unknown where its dot was written."""
        if self.alive:
            self._hang_up("stopped by us")

    def close(self) -> None:
        """End the connection politely if it is idle."""
        if self.alive:
            if not self.busy:
                self._transport.write(b"QUIT\r\n")
            self.alive = False
            self._transport.close()
