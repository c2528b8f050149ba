"""What operators, and answers that asked for less, allow just now: read from the tables about once a second."""

import datetime
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.delivery import hosts, lines, slowdowns
from newsletter.delivery.limits import Limit
from newsletter.delivery.models import FROM_SETTINGS, HostLimit, Relay
from newsletter.delivery.slowdowns import Standing, hosts_key, relay_key
from newsletter.foundation.db import db, transaction

FRESH: Final = datetime.timedelta(seconds=1)
_GROUPS_FRESH: Final = datetime.timedelta(minutes=1)
_SPANS: Final = (1, 60, 3600)
_HOSTS: Final = hosts_key("")


@dataclass(frozen=True, slots=True)
class Terms:
    """What operators allow a relay or a group of hosts."""

    connections: int | None
    numbers: tuple[int | None, ...]
    """Messages in each of _SPANS."""

    def limits(self, key: str, share: float, line: str = "", since: int = 0) -> list[Limit]:
        """Return one limit for each span that has one."""
        return [
            Limit.of(f"{key}:{seconds}", number * share, seconds, line, since)
            for number, seconds in zip(self.numbers, _SPANS, strict=True)
            if number is not None
        ]


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds for a group of hosts just now; it has at least one limit."""

    limits: tuple[Limit, ...]
    standing: Standing | None
    line: str

    @property
    def interval(self) -> float:
        """Microseconds between two messages under the strictest limit."""
        return max(limit.interval for limit in self.limits)


class Allowances:
    """The tables' word on relays and hosts, as one worker process knows it. Call `refresh` before a look."""

    def __init__(self, app: Flask, own_connections: int, clock: Callable[[], datetime.datetime]) -> None:
        self._app, self._own_connections, self._clock = app, own_connections, clock
        self._read_at: datetime.datetime | None = None
        self._groups_at: datetime.datetime | None = None
        self._groups: dict[str, str] = {}
        self._unknown: set[str] = set()
        self.relays: dict[int, Terms] = {}
        self.hosts: dict[str, Terms] = {}
        self.standing: dict[str, Standing] = {}
        self.rules: dict[str, Rule] = {}
        """Group to rule, for groups that have one."""

    def refresh(self) -> None:
        """Read the tables unless that was done within the last second."""
        now = self._clock()
        if self._read_at is not None and self._read_at <= now < self._read_at + FRESH:
            return
        with self._app.app_context():
            self._read(db.session())
        self._read_at = now

    def forget(self) -> None:
        """Read the tables at the next look."""
        self._read_at = None

    def share(self, key: str) -> float:
        """Return how much of its speed and connections somebody has."""
        standing = self.standing.get(key)
        return standing.share if standing else 1.0

    def connections(self, relay_id: int) -> int:
        """Return how many connections a relay takes just now; 0 when there is no such relay.

        That of the settings takes so many of each worker process, all others so many of all together.
        """
        terms = self.relays.get(relay_id)
        total = self._own_connections if relay_id == FROM_SETTINGS else terms.connections or 1 if terms else 0
        return max(1, int(total * self.share(relay_key(relay_id)))) if total else 0

    def whole(self, key: str, relay_id: int) -> int:
        """Return how many connections a share of 1 stands for."""
        terms = self.hosts.get(key.removeprefix(_HOSTS)) if key.startswith(_HOSTS) else None
        terms = terms if terms and terms.connections else self.relays.get(relay_id)
        return terms.connections or 1 if terms else self._own_connections

    def limits(self, relay_id: int, mailing_id: int, per_hour: int | None) -> list[Limit] | None:
        """Return all limits for a mailing through a relay; None when there is no such relay (any more)."""
        limits: list[Limit] = []
        if relay_id != FROM_SETTINGS:
            self.refresh()
            if (terms := self.relays.get(relay_id)) is None:
                return None
            limits = terms.limits(relay_key(relay_id), self.share(relay_key(relay_id)))
        if per_hour is not None:
            limits.append(Limit.of(f"mailing:{mailing_id}", per_hour, 3600))
        return limits

    def groups_of(self, domains: Collection[str], now: datetime.datetime) -> Mapping[str, str]:
        """Return the groups of domains (and perhaps of others). Those that nobody has looked up are noted to be."""
        if self._groups_at is None or not self._groups_at <= now < self._groups_at + _GROUPS_FRESH:
            self._groups, self._groups_at = {}, now
        missing = [domain for domain in domains if domain not in self._groups]
        if missing:
            with self._app.app_context():
                known = hosts.groups_of(db.session(), missing)
            self._groups |= {domain: known.get(domain, domain) for domain in missing}
            self._unknown.update(domain for domain in missing if domain not in known and hosts.is_host_name(domain))
        return self._groups

    def have_looked_up(self) -> None:
        """Have the domains looked up that turned out to be unknown. Not while a transaction is open elsewhere in this
        process: SQLite has one writer at a time."""
        if self._unknown:
            with self._app.app_context(), transaction() as session:
                hosts.ask_for(session, self._unknown)
            self._unknown.clear()

    def _read(self, session: Session) -> None:
        numbers = (Relay.per_second, Relay.per_minute, Relay.per_hour)
        self.relays = {
            row[0]: Terms(row[1], tuple(row[2:]))
            for row in session.execute(select(Relay.id, Relay.connections, *numbers))
        }
        numbers = (HostLimit.per_second, HostLimit.per_minute, HostLimit.per_hour)
        self.hosts = {
            row[0]: Terms(row[1], tuple(row[2:]))
            for row in session.execute(select(HostLimit.host_group, HostLimit.connections, *numbers))
        }
        self.standing = slowdowns.standing(session)
        ruled = self.hosts.keys() | {key.removeprefix(_HOSTS) for key in self.standing if key.startswith(_HOSTS)}
        begun = lines.begun(session) if ruled else 0
        rules = {group: self._rule(group, begun) for group in ruled}
        self.rules = {group: rule for group, rule in rules.items() if rule.limits}

    def _rule(self, group: str, begun: int) -> Rule:
        key, line = hosts_key(group), f"line:{group}:{begun}"
        standing, terms = self.standing.get(key), self.hosts.get(group)
        stopped = standing.stopped_until if standing else None
        since = max(begun, lines.to_microseconds(stopped) if stopped else 0)
        limits = terms.limits(key, self.share(key), line, since) if terms else []
        if standing is not None and not limits:
            limits = [Limit.of(f"{key}:pace", (standing.pace or 1.0) * standing.share, 1, line, since)]
        return Rule(tuple(limits), standing, line)
