"""The stage of one experiment: an installation with readers, its relay's sink, and our own hands on its database."""

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from flask import Flask
from sqlalchemy import select, text

from newsletter.app import create_app
from newsletter.audience.models import Subscriber
from newsletter.delivery.models import Delivery, Mailing
from newsletter.digests.models import Run
from newsletter.foundation.db import db, transaction
from tests.chaos import checker
from tests.chaos.ground import Ground
from tests.chaos.result import Result
from tests.chaos.sink import SinkProcess
from tests.chaos.worker import PROGRAM
from tests.conftest import make_settings
from tests.delivery import world
from tests.journeys.processes import COMMAND, Installation, eventually

CONNECTIONS: Final = 5
"""Of each worker process, where an experiment says nothing else."""
DONE: Final = ("sent", "cancelled")
QUIET: Final = 1.5
"""Seconds in which nothing must happen any more."""


@dataclass
class Stage:
    """Where an experiment plays."""

    place: Installation
    sink: SinkProcess
    app: Flask
    readers: int
    scaled_out: bool
    patches: Sequence[str] = ()
    """What `tests.chaos.worker` changes; none: the command itself is run."""
    children: int = 2
    run_id: int = field(default=0, init=False)

    def plan(self) -> None:
        """Order the digest; nobody is at work yet, or whoever is finds it."""
        with self.app.app_context():
            self.run_id = world.start().id

    def worker(self, *, beat: bool = True, patches: Sequence[str] | None = None) -> subprocess.Popen[bytes]:
        """Start a worker: the embedded one, or Celery's with children."""
        words = ["worker"]
        if self.scaled_out:
            words += ["--concurrency", str(self.children), "--beat" if beat else "--no-beat"]
        patches = self.patches if patches is None else patches
        if not patches:
            return self.place.start(*words)
        return self.place.start(*words, program=[*PROGRAM, *patches, "--"])

    def ask(self, question: Callable[[], Any]) -> Any:
        """Run `question` with a session of its own."""
        with self.app.app_context():
            return question()

    def state(self) -> str:
        """Return the run's state."""
        query = select(Run.state).where(Run.id == self.run_id)
        return str(self.ask(lambda: db.session().scalar(query)).value)

    def counts(self) -> dict[str, int]:
        """Return the run's counters."""
        query = select(Mailing).where(Mailing.run_id == self.run_id)
        return dict(self.ask(lambda: db.session().scalars(query).one().counts))

    def reached(self, number: int, seconds: float = 120) -> None:
        """Wait until the sink has accepted so many."""
        eventually(lambda: self.sink.accepted() >= number, seconds, every=0.02)

    def over(self, seconds: float = 240) -> None:
        """Wait until the run is over and stays so: what is told late may open it again."""
        quiet_since = None
        deadline = time.monotonic() + seconds
        while quiet_since is None or time.monotonic() < quiet_since + QUIET:
            assert time.monotonic() < deadline, f"not over within {seconds} s: {self.counts()}"
            time.sleep(0.2)
            quiet = self.state() in DONE and not any(self.counts()[state] for state in checker.OPEN)
            quiet_since = (quiet_since or time.monotonic()) if quiet else None

    def findings(self) -> checker.Findings:
        """Compare the ledger with the sink; fails where counters and rows disagree."""
        with self.app.app_context():
            world.states(db.session())
            query = select(Subscriber.address, Delivery.state).join(Delivery, Delivery.subscriber_id == Subscriber.id)
            states = {address: state.value for address, state in db.session().execute(query)}
        return checker.compare(states, self.sink.seen())

    def leave(self) -> None:
        """Let go of the database."""
        with self.app.app_context():
            db.session.remove()
            db.engine.dispose()

    def judge(self, result: Result, *, unknown: int) -> checker.Findings:
        """Hold ledger and sink against the promises."""
        found = self.findings()
        checker.judge(result, found, unknown=unknown, deliveries=self.readers)
        return found


@contextlib.contextmanager
def staged(
    ground: Ground,
    kind: str,
    readers: int,
    *,
    sink: Sequence[str] = (),
    patches: Sequence[str] = (),
    children: int = 2,
    connections: int = CONNECTIONS,
) -> Iterator[Stage]:
    """Set the stage on `kind` ("sqlite", or "postgresql" with Redis) for `readers` of one digest."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-", dir=ground.folder)))
        url = stack.enter_context(ground.database(kind, folder / "var"))
        scaled_out = kind == "postgresql"
        redis_url = ""
        if scaled_out:
            ground.redis.server.flush()
            redis_url = ground.redis.server.url
        relay = stack.enter_context(SinkProcess(folder, sink))
        # Ours rings no bells and sends nothing: it has no Redis.
        app = create_app(make_settings(folder / "var", database_url=url, smtp_url=relay.url))
        more = {"SMTP_CONNECTIONS": str(connections), "LOG_LEVEL": "INFO"}
        place = stack.enter_context(Installation(folder, relay.url, url, redis_url, more=more))
        with app.app_context():
            world.build(readers)
            with transaction() as session:
                session.execute(text("ANALYZE"))  # as the database does by itself a while after so much was added
        stage = Stage(place, relay, app, readers, scaled_out, patches, children)
        stack.callback(stage.leave)
        yield stage


__all__ = ["COMMAND", "CONNECTIONS", "Stage", "eventually", "staged"]
