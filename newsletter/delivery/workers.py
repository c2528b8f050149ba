"""Which worker processes are there: each shows itself while it works, so that operators see when nobody does."""

import datetime
import os
import secrets
import socket
from collections.abc import Sequence
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from newsletter.delivery.models import Worker

AWAY_AFTER: Final = datetime.timedelta(seconds=90)
_FORGET_AFTER: Final = datetime.timedelta(days=1)


def new_name() -> str:
    """Return a name for this process: host, process id, and a random part that outlives neither."""
    return f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(4)}"


def show(session: Session, name: str, now: datetime.datetime) -> None:
    """Note that the worker called `name` is at work."""
    worker = session.get(Worker, name)
    if worker is None:
        session.add(Worker(name=name, host=name.partition(":")[0], started_at=now, seen_at=now))
        session.execute(delete(Worker).where(Worker.seen_at < now - _FORGET_AFTER))
    else:
        worker.seen_at = now


def at_work(session: Session, now: datetime.datetime) -> Sequence[Worker]:
    """Return the workers that were seen lately, newest first."""
    return session.scalars(
        select(Worker).where(Worker.seen_at > now - AWAY_AFTER).order_by(Worker.started_at.desc())
    ).all()
