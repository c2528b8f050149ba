"""An SMTP client that knows in which phase it was: pipelined where the relay offers it (RFC 2920), else in lock-step.

One recipient per transaction, connections kept open. The end of one message and the envelope of the next travel in one
write, so a message costs one round trip. Handed the dot and not told the reply, a message is *unknown*; before that it
is *unsent*: nothing else decides between the two.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from newsletter.delivery.endpoints import Endpoint
from newsletter.delivery.opening import open_relay
from newsletter.delivery.replies import Outcome, Phase, Verdict, judge, lost

COMMAND_TIMEOUT: Final = 60.0
DOT_TIMEOUT: Final = 300.0
"""Seconds to wait for the reply to the dot; a lease must outlive it (RFC 5321 section 4.5.3.2.6 would wait longer)."""


@dataclass(slots=True)
class Job:
    """One message to hand over. `content` is dot-stuffed by the client, CRLF throughout."""

    id: int
    sender: str
    recipient: str
    content: bytes
    utf8: bool = False
    """An address needs SMTPUTF8 (RFC 6531)."""
    phase: Phase = Phase.MAIL
    failed: Outcome | None = None


NextJob = Callable[[], Job | None]
BeforeDot = Callable[[Job], None]
Done = Callable[[Job, Outcome], None]


class Session(asyncio.Protocol):
    """One connection. `open()` greets it, `send()` hands over jobs until there are none left."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self.extensions: dict[str, str] = {}
        self.alive = False
        self._buffer = b""
        self._lines: list[bytes] = []
        self._expected: deque[tuple[str, Job | None]] = deque()
        self._lockstep: deque[tuple[bytes, tuple[str, Job]]] = deque()
        self._finished: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._why = "the relay closed the connection"

    async def open(self, relay: Endpoint) -> None:
        """Connect, greet, secure and authenticate. Raises RelayError."""
        opened = await open_relay(relay, self)
        self._transport, self.extensions, self.alive = opened.transport, opened.extensions, True

    # -- the work: a machine driven by replies

    async def send(self, next_job: NextJob, before_dot: BeforeDot, done: Done) -> None:
        """Hand over jobs until `next_job` returns None. `done` is called once for each; never raises for a lost relay.

        `before_dot` is called just before the content of a job is handed to the transport.
        """
        self._next_job, self._before_dot, self._done = next_job, before_dot, done
        self._finished = asyncio.get_running_loop().create_future()
        if not self.alive:
            return
        self._begin_next()
        await self._finished

    def _begin_next(self, head: bytes = b"") -> None:
        """Write `head` and the envelope of the next job, or end the sending."""
        job = self._take()
        if job is None:
            if head:
                self._transport.write(head)
            self._settle_if_idle()
            return
        commands = self._envelope(job)
        steps = [("mail", job), ("rcpt", job), ("data", job)]
        if "PIPELINING" in self.extensions:
            self._expected.extend(steps)
            self._write(head + b"".join(commands))
        else:
            self._lockstep = deque(zip(commands, steps, strict=True))
            if head:
                self._write(head)
            else:
                self._advance()

    def _take(self) -> Job | None:
        while (job := self._next_job()) is not None:
            if job.utf8 and "SMTPUTF8" not in self.extensions:
                self._done(job, Outcome(Verdict.UNSENDABLE, None, "the relay cannot take this address (no SMTPUTF8)"))
            elif self._too_large(job):
                self._done(job, Outcome(Verdict.UNSENDABLE, None, "the message is larger than the relay takes"))
            else:
                return job
        return None

    def _too_large(self, job: Job) -> bool:
        limit = self.extensions.get("SIZE", "")
        return limit.isdigit() and 0 < int(limit) < len(job.content)

    def _envelope(self, job: Job) -> list[bytes]:
        mail = f"MAIL FROM:<{job.sender}>"
        rcpt = f"RCPT TO:<{job.recipient}>"
        if "SIZE" in self.extensions:
            mail += f" SIZE={len(job.content)}"
        if job.utf8:
            mail += " SMTPUTF8"
        if "DSN" in self.extensions:
            mail += f" RET=HDRS ENVID={job.id}"
            rcpt += " NOTIFY=FAILURE"
        return [mail.encode() + b"\r\n", rcpt.encode() + b"\r\n", b"DATA\r\n"]

    def _advance(self) -> None:
        command, step = self._lockstep.popleft()
        self._expected.append(step)
        self._write(command)

    def _write(self, data: bytes) -> None:
        self._transport.write(data)
        self._arm(COMMAND_TIMEOUT)

    def _on_reply(self, code: int, text: str) -> None:
        if not self._expected:
            self._hang_up(text if code == 421 else "the relay spoke out of turn")
            return
        step, job = self._expected.popleft()
        if job is None:
            self._after_void(step)
        elif step == "dot":
            self._done(job, judge(Phase.DOT, code, text, utf8=job.utf8))
            if code == 421:
                self._hang_up(text)
            elif self._expected:
                self._arm(COMMAND_TIMEOUT)
            elif self._lockstep:
                self._advance()
            else:
                self._settle_if_idle()
        else:
            self._on_envelope(step, job, code, text)

    def _on_envelope(self, step: str, job: Job, code: int, text: str) -> None:
        phase = Phase(step)
        if code == 421:
            self._hang_up(text)
            return
        fine = code == 354 if phase is Phase.DATA else 200 <= code < 300
        if not fine and job.failed is None:
            job.failed = judge(phase, code, text, utf8=job.utf8)
        if "PIPELINING" not in self.extensions:
            if job.failed:
                self._lockstep.clear()
                self._give_up(job, b"RSET\r\n", "rset")
            elif phase is Phase.DATA:
                self._content(job)
            else:
                self._advance()
        elif phase is Phase.DATA:
            if job.failed is None:
                self._content(job)
            elif fine:
                self._give_up(job, b".\r\n", "void")  # RFC 2920 section 3.1: DATA was taken without a recipient
            else:
                self._give_up(job, b"RSET\r\n", "rset")

    def _give_up(self, job: Job, command: bytes, step: str) -> None:
        assert job.failed is not None
        self._done(job, job.failed)
        self._expected.append((step, None))
        self._write(command)

    def _after_void(self, _step: str) -> None:
        if not self._expected:
            self._begin_next()

    def _content(self, job: Job) -> None:
        content = job.content.replace(b"\r\n.", b"\r\n..")
        if content.startswith(b"."):
            content = b"." + content
        if not content.endswith(b"\r\n"):
            content += b"\r\n"
        self._before_dot(job)
        job.phase = Phase.DOT
        self._expected.append(("dot", job))
        self._begin_next(content + b".\r\n")
        self._arm(DOT_TIMEOUT)

    # -- the end

    def _settle_if_idle(self) -> None:
        if not self._expected and self._finished and not self._finished.done():
            self._disarm()
            self._finished.set_result(None)

    def _hang_up(self, why: str) -> None:
        self._why = why
        self.alive = False
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\r\n")
        if len(self._buffer) > 10_000 or len(self._lines) > 200:
            self._hang_up("the relay's reply has no end")
            return
        for line in lines:
            if not self.alive:  # hung up on an earlier line: what follows is no answer to anything
                return
            self._lines.append(line[4:])
            if line[3:4] == b"-":
                continue
            text = b"\n".join(self._lines).decode("utf-8", "replace")
            self._lines = []
            if not line[:3].isdigit():
                self._hang_up("the relay does not speak SMTP")
                return
            self._on_reply(int(line[:3]), text)

    def connection_lost(self, exc: Exception | None) -> None:
        self.alive = False
        self._disarm()
        why = str(exc) if exc else self._why
        seen: set[int] = set()
        waiting = [job for _, job in self._expected if job is not None]
        waiting += [step[1] for _, step in self._lockstep]
        self._expected.clear()
        self._lockstep.clear()
        for job in waiting:
            if job.id not in seen:
                seen.add(job.id)
                self._done(job, lost(job.phase, why))
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(None)

    def close(self) -> None:
        """End the connection politely if it is idle."""
        self._disarm()
        if self.alive:
            if not self._expected:
                self._transport.write(b"QUIT\r\n")
            self._transport.close()

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._hang_up, "the relay did not answer in time")

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
