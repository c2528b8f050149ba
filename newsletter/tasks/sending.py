"""Sending: confirmations that somebody waits for, and bulk in slices."""

from typing import Final

from flask import current_app
from sqlalchemy import or_, select

from newsletter.audience import signup
from newsletter.delivery import leases, planning
from newsletter.foundation.clock import monotonic, utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.queue import queue
from newsletter.foundation.services import services
from newsletter.tasks import engines, ringing

_SLICE: Final = 2.0
"""Seconds of bulk after which it is looked whether somebody waits for a confirmation."""
_TURN: Final = 8.0
"""Seconds of bulk after which it is the turn of other work, where a process does all kinds of it."""
_SOON: Final = 60.0
"""Seconds; a broker must not keep a bell for long (it would ring it twice)."""


@queue.task(name=ringing.CONFIRM)
def send_confirmations() -> None:
    """Decide about waiting sign-ups, plan their mails, and send them."""
    tools = services()
    with transaction() as session:
        signup.process_waiting(session, tools.hasher, utc_now())
    with transaction() as session:
        planning.plan_confirmations(session, utc_now())
    _send(bulk=False)


@queue.task(name=ringing.SEND)
def send_bulk() -> None:
    """Send one slice of bulk, and ring again if there is more."""
    _send(bulk=True)


def _send(*, bulk: bool) -> None:
    while _slice(bulk=bulk):
        if bulk and anything_due(bulk=False):
            send_confirmations()


def _slice(*, bulk: bool) -> bool:
    """Send for a while and ring for the next slice. Returns whether nobody can hear that: then we go on ourselves."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001  (Flask's documented way)
    embedded, ends = services().settings.embedded, monotonic() + _TURN

    def goes_on() -> bool:
        return bulk and (embedded or monotonic() < ends) and not anything_due(bulk=False)

    if not embedded and bulk and anything_due(bulk=True):
        ringing.ring(ringing.SEND)  # for another process that is free: it takes the next chunk
    done = engines.engine(app).run(bulk=bulk, seconds=_SLICE, go_on=goes_on)
    bell = ringing.SEND if bulk else ringing.CONFIRM
    if done.more:
        return not ringing.ring(bell)
    if done.wait is not None and done.wait < _SOON:
        ringing.ring(bell, after=done.wait)  # whoever waits longer is found by the sweep
    return False


_DUE: Final = {
    True: select(leases.ANYTHING_READY),
    False: select(or_(signup.ANYTHING_WAITING, planning.ANYTHING_TO_CONFIRM, leases.ANYTHING_READY)),
}


def anything_due(*, bulk: bool) -> bool:
    """Tell whether there is bulk to send, or a sign-up or confirmation that somebody waits for."""
    session = db.session()
    try:
        return bool(session.scalar(_DUE[bulk], {"wants_bulk": bulk, "now": utc_now()}))
    finally:
        session.rollback()
