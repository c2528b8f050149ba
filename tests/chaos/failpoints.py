"""Places at which a worker is made to end, to stand still or to fail, each put around the engine's own parts.

The engine is built by `newsletter.tasks.engines`, as in every worker; only what that module calls Ledger, Journal and
Engine is wrapped here. A point acts once, when it is reached for the `after`-th time.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from unittest import mock

from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session as DatabaseSession

from newsletter.delivery.engine import Engine
from newsletter.delivery.journal import Journal
from newsletter.delivery.leases import Lease
from newsletter.delivery.ledger import Group, Ledger, SortOut
from newsletter.delivery.replies import Outcome
from newsletter.delivery.smtp import Job, Session
from newsletter.tasks import engines

ACTIONS: Final = ("exit", "hang", "error")
LEDGER: Final = tuple(
    f"{step}: {when}" for step in ("claim", "begin", "settle", "release") for when in ("called", "commits", "committed")
)
WIRE: Final = ("dot: journalled", "dot: written", "reply: read", "reply: journalled")
POINTS: Final = (*LEDGER, *WIRE)
DOUBTFUL: Final = (*WIRE[:3], *LEDGER[6:])
"""Where a dot may have been written and its reply not yet journalled: on the one connection, or while the ledger is
being told. Elsewhere nothing may become unknown."""
ENDED: Final = 17


@dataclass
class Fault:
    """What happens where."""

    point: str
    action: str
    after: int
    seconds: float
    """How long "hang" takes: longer than a lease."""

    @property
    def outlasts(self) -> bool:
        """Whether nothing but the end of a lease can mend it."""
        return self.action == "hang" or (self.action == "error" and self.point not in LEDGER)

    def reach(self, point: str) -> None:
        """Act, if this is the place and the time."""
        if point != self.point:
            return
        self.after -= 1
        if self.after:
            return
        if self.action == "exit":
            os._exit(ENDED)
        if self.action == "hang":
            time.sleep(self.seconds)
        elif point in LEDGER:
            raise OperationalError("a failpoint", None, Exception("the database is away"))
        else:
            raise OSError("a failpoint")


def install(fault: Fault, lease: Any) -> None:
    """Wrap the parts of every engine that this process makes from now on."""
    mock.patch.object(engines, "Ledger", partial(_Ledger, fault, lease=lease)).start()
    mock.patch.object(engines, "Journal", partial(_Journal, fault)).start()
    mock.patch.object(engines, "Engine", partial(Engine, new_session=partial(_Session, fault))).start()


class _Ledger(Ledger):
    def __init__(self, fault: Fault, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._fault, self._step = fault, ""
        self._writes = False
        event.listen(DatabaseSession, "before_commit", self._commits)
        event.listen(DatabaseSession, "after_commit", self._committed)

    def _commits(self, session: DatabaseSession) -> None:
        self._writes = bool(self._step) and "newsletter_immediate" in session.connection().get_execution_options()
        if self._writes:
            self._fault.reach(f"{self._step}: commits")

    def _committed(self, session: DatabaseSession) -> None:
        if self._writes:
            self._fault.reach(f"{self._step}: committed")

    def _take(self, step: str, act: Any) -> Any:
        self._fault.reach(f"{step}: called")
        before, self._step = self._step, step
        try:
            return act()
        finally:
            self._step = before

    def claim(self, *, bulk: bool) -> Lease | None:
        return self._take("claim", lambda: super(_Ledger, self).claim(bulk=bulk))  # type: ignore[no-any-return]

    def begin(
        self, lease: Lease, size: int, told: Mapping[int, Outcome], relay_id: int, sort_out: SortOut | None = None
    ) -> Group:
        return self._take("begin", lambda: super(_Ledger, self).begin(lease, size, told, relay_id, sort_out))  # type: ignore[no-any-return]

    def settle(self, lease: Lease, told: Mapping[int, Outcome], relay_id: int) -> None:
        if told:
            self._take("settle", lambda: super(_Ledger, self).settle(lease, told, relay_id))

    def release(self, lease: Lease, **more: Any) -> None:
        self._take("release", lambda: super(_Ledger, self).release(lease, **more))


class _Journal(Journal):
    def __init__(self, fault: Fault, *args: Any) -> None:
        super().__init__(*args)
        self._fault = fault

    def about_to_send(self, delivery_id: int) -> None:
        super().about_to_send(delivery_id)
        self._fault.reach("dot: journalled")

    def told(self, delivery_id: int, outcome: Outcome) -> None:
        super().told(delivery_id, outcome)
        self._fault.reach("reply: journalled")


class _Session(Session):
    def __init__(self, fault: Fault) -> None:
        super().__init__()
        self._fault = fault

    def _content(self, job: Job) -> None:
        super()._content(job)
        self._fault.reach("dot: written")

    def _after_dot(self, job: Job, outcome: Outcome) -> None:
        self._fault.reach("reply: read")
        super()._after_dot(job, outcome)
