"""The sweep for work that nobody was told of, and what is cleared away from time to time."""

import datetime
from typing import Final

from sqlalchemy.orm import Session

from newsletter.audience import preferences
from newsletter.audience import upkeep as audience
from newsletter.content import numbering, sources
from newsletter.delivery import (
    cancelling,
    database_meters,
    hosts,
    recovery,
    slowdowns,
    workers,
)
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.queue import queue
from newsletter.foundation.services import services
from newsletter.operators import alarms, sessions, signin
from newsletter.tasks import engines, ringing, sending

_SOURCE: Final = "source:"
_DOMAINS: Final = 5000
_LOOKING: Final = 20.0
_EMBEDDED_LOOKING: Final = 2.0
"""Seconds for looking mail hosts up at a time; where one thread keeps house only few, as digests fall due."""


@queue.task(name=ringing.SWEEP)
def sweep() -> None:
    """Recover what dead workers left, plan again what is due again, and ring for whatever is ready."""
    now = utc_now()
    recovery.recover(engines.journals(services().settings), now)
    with transaction() as session:
        name = engines.name()
        if name is not None:
            workers.show(session, name, now)
        recovery.reap(session, now)
        recovery.regroup_due(session, now)
        recovery.resend_unknown_confirmations(session, now)
        preferences.resume_due(session, now)
    more = True
    while more:
        with transaction() as session:
            more = cancelling.sweep(session, now)
    for bulk, bell in ((False, ringing.CONFIRM), (True, ringing.SEND)):
        if sending.anything_due(bulk=bulk):
            ringing.ring(bell)


@queue.task(name=ringing.CLEAN)
def clean() -> None:
    """Remove what must not be kept: unconfirmed sign-ups, old counters, ended sessions. Look after the sources."""
    now = utc_now()
    with transaction() as session:
        audience.remove_old(session, now)
        sessions.forget(session, now)
        signin.forget(session, now)
        database_meters.forget(session, now)
        slowdowns.forget(session, now)
    with transaction() as session:
        numbering.forget_uncategorised(session, now)
        watch_sources(session, now)


@queue.task(name=ringing.HOSTS)
def look_hosts_up() -> None:
    """Look up which mail hosts take the mail of domains that matter to a limit. Mostly there is nothing to do."""
    now = utc_now()
    domains = hosts.due(db.session(), now, _DOMAINS)
    db.session.rollback()  # nothing is held open while the network is asked
    if domains:
        from newsletter.delivery import mail_exchangers  # brings a DNS client along, which few installations need

        found = mail_exchangers.look_up(domains, _EMBEDDED_LOOKING if services().settings.embedded else _LOOKING)
        with transaction() as session:
            hosts.note(session, found, now)


def watch_sources(session: Session, now: datetime.datetime) -> None:
    """Raise an alarm, once for each time that a source fails for days, and end those that are over."""
    failing = {
        f"{_SOURCE}{one.source_id}:{one.since:%Y-%m-%dT%H:%MZ}": one for one in sources.failing_for_days(session, now)
    }
    for key, trouble in failing.items():
        alarms.sound(session, key, trouble.sentence, now)
    for alarm in alarms.standing(session):
        if alarm.key.startswith(_SOURCE) and alarm.key not in failing:
            alarms.end(session, alarm.key, now)
