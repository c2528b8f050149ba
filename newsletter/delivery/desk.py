"""The desk: whom the engine asks and tells around the wire. The ledger, the limits, what relays have against us.

All of it is called in one thread beside the engine's loop.
"""

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from newsletter.delivery.breaking import Breaker
from newsletter.delivery.composing import CannotComposeError
from newsletter.delivery.endpoints import Endpoint
from newsletter.delivery.leases import Lease
from newsletter.delivery.ledger import Group, Ledger
from newsletter.delivery.limits import Grant
from newsletter.delivery.replies import Outcome
from newsletter.delivery.watching import RelayWatch
from newsletter.foundation.clock import utc_now

Told = Mapping[Lease, Mapping[int, Outcome]]
"""What became of the deliveries of chunks."""
Seen = Sequence[tuple[str, Outcome]]
"""The domain of a reader's address and what was answered; what was accepted is not told here."""
_NO_RELAY: Final = datetime.timedelta(seconds=30)
"""How long a mailing waits that no relay takes, and none will by itself."""
_MENDING: Final = datetime.timedelta(minutes=1)
"""How long a mailing waits for the publication to get what every mail needs."""


class Throttle(Protocol):
    """The limits of relays, mail hosts and mailings, shared by all workers."""

    def ask(self, relay_id: int, mailing_id: int, per_hour: int | None, wanted: int, *, bulk: bool) -> Grant:
        """Return how many messages may go now."""

    def give_back(self, relay_id: int, mailing_id: int, per_hour: int | None, unused: int) -> None:
        """Give back what was granted and not used."""

    def sort_out(
        self, domains: Mapping[int, str], now: datetime.datetime, *, bulk: bool
    ) -> dict[int, datetime.datetime]:
        """Return the deliveries that must wait for their mail hosts, and until when."""

    def lanes(self, domains: Mapping[int, str], now: datetime.datetime) -> dict[int, tuple[str, int]]:
        """Return the deliveries of which only so many may be on the wire at a time, with their group of mail hosts."""

    def connections(self, relay_id: int, wanted: int) -> int:
        """Return this process's share of the relay's connections."""

    def close(self) -> None:
        """Let go of all connections."""

    def observe(self, relay_id: int, seen: Iterable[tuple[str, Outcome]], now: datetime.datetime) -> None:
        """Slow down where answers ask for it."""


@dataclass(frozen=True)
class Desk:
    """What a worker process has at hand to send with."""

    ledger: Ledger
    relays: Callable[[str, str], list[Endpoint]]
    """From address and stream → the relays that take such mail now, the one to use first."""
    ready_at: Callable[[str, str], datetime.datetime | None]
    """From address and stream → when one of those will that are paused now; None if an operator must act."""
    throttle: Throttle
    watch: RelayWatch
    breaker: Breaker
    broken: Callable[[int, str], None]
    """Pauses a mailing for the reason given, and tells the operators."""
    hold: Callable[[int, str], None]
    """Does the same with a relay."""

    # What a pump calls.

    def begin(self, relay: Endpoint, lease: Lease, size: int, told: Told) -> Group | float:
        """Ask the limits, then the ledger. Returns a group, or the seconds to wait for a limit."""
        grant = self.throttle.ask(relay.id, lease.mailing_id, lease.per_hour, size, bulk=lease.bulk)
        if not grant.granted:
            self.settle(relay, told)
            return grant.wait
        alike = {one: outcomes for one, outcomes in told.items() if one.mailing_id == lease.mailing_id}
        self.settle(relay, {one: outcomes for one, outcomes in told.items() if one not in alike})
        own = {key: outcome for outcomes in alike.values() for key, outcome in outcomes.items()}
        per_hour, group = lease.per_hour, Group()
        try:
            sort_out = partial(self._sort_out, bulk=lease.bulk)
            group = self.ledger.begin(lease, grant.granted, own, relay.id, sort_out)
        finally:
            if unused := grant.granted - len(group.messages):
                self.throttle.give_back(relay.id, lease.mailing_id, per_hour, unused)
        self._look_at(relay, {lease: own})
        group.lanes = self.throttle.lanes(group.domains, utc_now())
        if lease.exhausted and not group.messages:  # it may have been paused; after that it is judged by new answers
            self.breaker.forget(lease.mailing_id)
        return group

    def settle(self, relay: Endpoint, told: Told) -> None:
        """Fold in what became of deliveries."""
        for lease, outcomes in told.items():
            self.ledger.settle(lease, outcomes, relay.id)
        self._look_at(relay, told)

    def observe(self, relay: Endpoint, seen: Seen) -> None:
        """Learn from answers how fast the relay and the mail hosts want it."""
        self.throttle.observe(relay.id, seen, utc_now())

    def _sort_out(self, domains: Mapping[int, str], *, bulk: bool) -> Mapping[int, datetime.datetime]:
        return self.throttle.sort_out(domains, utc_now(), bulk=bulk)

    def release(self, lease: Lease) -> None:
        """Give a chunk back."""
        self.ledger.release(lease)

    def put_off(self, lease: Lease, seconds: float) -> None:
        """Let nobody claim anything of the lease's mailing for so long."""
        self.ledger.put_off(lease.mailing_id, utc_now() + datetime.timedelta(seconds=seconds))

    def connections(self, relay: Endpoint) -> int:
        """Return how many connections to the relay this process may have now."""
        return self.throttle.connections(relay.id, relay.connections)

    def _look_at(self, relay: Endpoint, told: Told) -> None:
        for lease, outcomes in told.items():
            if because := self.breaker.observe(lease.mailing_id, outcomes.values()):
                self.broken(lease.mailing_id, because)
                lease.exhausted = True
            if because := self.breaker.observe_relay(relay.id, outcomes.values()):
                self.hold(relay.id, because)
                lease.exhausted = True

    # What the engine calls.

    def claim(self, *, bulk: bool) -> tuple[Lease, list[Endpoint]] | None:
        """Lease the next chunk that a relay takes now; None when there is none."""
        while True:
            try:
                lease = self.ledger.claim(bulk=bulk)
            except CannotComposeError as error:
                self.ledger.put_off(error.mailing_id, utc_now() + _MENDING, because=str(error))
                continue
            if lease is None:
                return None
            endpoints = self.relays(lease.sender, lease.stream)
            if endpoints:
                return lease, endpoints
            self.ledger.put_off(lease.mailing_id, self.ready_at(lease.sender, lease.stream) or utc_now() + _NO_RELAY)
            self.ledger.release(lease)

    def close(self) -> None:
        """Let go of connections to relays and to the database."""
        self.throttle.close()
        self.ledger.close()

    def seconds_to_next(self) -> float | None:
        """Return the seconds until a deferred delivery is due, at least one."""
        due_at = self.ledger.next_due()
        return None if due_at is None else max(1.0, (due_at - utc_now()).total_seconds())
