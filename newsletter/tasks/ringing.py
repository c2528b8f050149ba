"""Ringing bells: after a commit, from the schedule, and from the sweep for whatever was never rung.

A bell that cannot be rung is no error: the sweep comes by within seconds.
"""

import logging
from typing import Any

from kombu.exceptions import OperationalError

from newsletter.foundation.queue import Queue, queue
from newsletter.foundation.services import services

log = logging.getLogger(__name__)

CONFIRM = "newsletter.confirmations"
SEND = "newsletter.bulk"
TICK = "newsletter.tick"
FETCH = "newsletter.fetch"
SWEEP = "newsletter.sweep"
CLEAN = "newsletter.clean"
HOSTS = "newsletter.hosts"
_QUEUES = {
    CONFIRM: Queue.CONFIRMATIONS,
    SEND: Queue.BULK,
    TICK: Queue.DIGESTS,
    FETCH: Queue.CONTENT,
    SWEEP: Queue.UPKEEP,
    CLEAN: Queue.UPKEEP,
    HOSTS: Queue.UPKEEP,
}
_OF_ONE_KIND = [name for name in Queue if list(_QUEUES.values()).count(name) == 1]
"""Queues that carry the bells of one task only."""

queue.conf.task_routes = {task: {"queue": name.value} for task, name in _QUEUES.items()}
queue.conf.beat_schedule = {
    "what is due": {"task": TICK, "schedule": 20.0, "options": {"expires": 60}},
    "what was not rung for": {"task": SWEEP, "schedule": 15.0, "options": {"expires": 60}},
    "sources": {"task": FETCH, "schedule": 30.0, "options": {"expires": 60}},
    "confirmations": {"task": CONFIRM, "schedule": 5.0, "options": {"expires": 30}},
    "upkeep": {"task": CLEAN, "schedule": 600.0, "options": {"expires": 600}},
    "mail hosts": {"task": HOSTS, "schedule": 60.0, "options": {"expires": 60}},
}


class Bells:
    """Whether this process may ring: with the in-process queue only the worker itself can."""

    in_worker = False


def ring(task: str, *, after: float = 0.0) -> bool:
    """Say that there may be work for `task`, or will be in `after` seconds. Returns whether somebody will hear of it.

    One bell that waits is enough: whoever takes it looks for all that there is. In the embedded way the worker finds
    what others leave, and what has waited, each second.
    """
    embedded = services().settings.embedded
    if embedded and (after or not Bells.in_worker):
        return False
    name = _QUEUES[task].value
    try:
        if embedded or after or name not in _OF_ONE_KIND or not _is_waiting(name):
            queue.send_task(task, queue=name, retry=False, countdown=after or None)
    except (OperationalError, OSError) as error:
        log.warning("bell not rung", extra={"task": task, "reason": str(error)})
        return False
    return True


def _is_waiting(name: str) -> bool:
    """Tell whether a bell of a queue has not been taken yet. Raises OperationalError."""
    connection: Any  # its stubs know neither what is acquired nor what a channel can do
    with queue.pool.acquire(block=True) as connection:
        try:
            declared = connection.default_channel.queue_declare(queue=name)
        except connection.connection_errors + connection.channel_errors as error:
            raise OperationalError(str(error)) from error
    return bool(declared.message_count)
