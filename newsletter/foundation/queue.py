"""The Celery application and its queues. It carries hints ("there is work"), never the work itself.

The database is the queue of record: every task looks there for what is due, is harmless to repeat, and a sweep rings
again for whatever was never rung. Losing the broker loses time, not mail.
"""

import enum
from typing import Any, Final

import kombu
from celery import Celery, Task
from flask import Flask, has_app_context

from newsletter.foundation.settings import Settings


class Queue(enum.StrEnum):
    """Named queues, so that each kind of work can have workers of its own."""

    CONFIRMATIONS = "confirmations"
    """Mails that a person waits for."""
    BULK = "bulk"
    DIGESTS = "digests"
    """Looking what is due, planning runs."""
    CONTENT = "content"
    """Fetching sources."""
    UPKEEP = "upkeep"


class ContextTask(Task):  # type: ignore[type-arg]  # celery-types wants parameters that Celery's class does not take
    """A task that runs inside the application's context (the one at hand, when called directly)."""

    flask_app: Flask | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if has_app_context():
            return super().__call__(*args, **kwargs)
        assert self.flask_app is not None
        with self.flask_app.app_context():
            return super().__call__(*args, **kwargs)


queue = Celery("newsletter", task_cls=ContextTask, set_as_current=False)
_REDIS: Final = {
    "visibility_timeout": 3600,
    # Whoever rings has better things to do than to wait for a broker that is away, or says nothing any more: it rings
    # in the middle of a sign-up, or between two slices of a digest.
    "max_retries": 0,
    "socket_connect_timeout": 2.0,
    "socket_timeout": 3.0,
}


def configure(app: Flask, settings: Settings) -> "Celery[ContextTask]":
    """Connect the queue to the application and to its broker: Redis, or memory inside the one worker process."""
    ContextTask.flask_app = app
    queue.conf.update(
        broker_url=settings.redis_url or "memory://",
        task_ignore_result=True,
        result_backend=None,
        task_serializer="json",
        accept_content=["json"],
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_max_tasks_per_child=None,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=_REDIS if settings.redis_url else {"polling_interval": 0.05},
        task_default_queue=Queue.UPKEEP.value,
        timezone="UTC",
        enable_utc=True,
        imports=("newsletter.tasks",),
        task_queues=[kombu.Queue(name.value) for name in Queue],
        task_create_missing_queues=True,
    )
    app.extensions["celery"] = queue
    return queue
