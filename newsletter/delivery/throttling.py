"""How fast a worker process may send: what operators and the receiving side allow, shared with all other workers.

The engine asks before it begins a group: how many for this relay and mailing, which deliveries must wait for their
group of mail hosts, how many connections. Afterwards it says what was answered. What operators change acts within about
a second.
"""

import datetime
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from flask import Flask

from newsletter.delivery import choosing, lines
from newsletter.delivery.allowances import FRESH, Allowances
from newsletter.delivery.answers import Answers
from newsletter.delivery.limits import Grant, Meters
from newsletter.delivery.models import FROM_SETTINGS
from newsletter.delivery.replies import Outcome
from newsletter.delivery.slowdowns import hosts_key, relay_key
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db
from newsletter.foundation.services import services

_QUIET: Final = datetime.timedelta(minutes=1)
"""A line that this process has not added to for so long may be shorter than it says: mailings are cancelled."""
_FAR: Final = 2**53
_LINES: Final = 1000


class Throttle:
    """All limits as one worker process sees them; `owner` names it among the workers. For one thread."""

    def __init__(
        self,
        app: Flask,
        owner: str,
        *,
        meters: Meters | None = None,
        clock: Callable[[], datetime.datetime] = utc_now,
    ) -> None:
        with app.app_context():
            settings = services().settings
        self._app, self._clock = app, clock
        self._meters = meters or choosing.meters(app, settings)
        self._shares = choosing.shares(app, settings, owner)
        self._allowances = Allowances(app, settings.smtp_connections, clock)
        self._answers = Answers(app, self._allowances, self._shares)
        self._lined_up: dict[str, datetime.datetime] = {}
        self._held: dict[str, tuple[datetime.datetime, int, int]] = {}

    def ask(self, relay_id: int, mailing_id: int, per_hour: int | None, wanted: int, *, bulk: bool) -> Grant:
        """Take up to `wanted` messages of a mailing for a relay; `per_hour` is the mailing's own speed.

        Not `bulk`: confirmations, which may take ahead, so that bulk waits and they do not.
        """
        self._allowances.have_looked_up()
        limits = self._allowances.limits(relay_id, mailing_id, per_hour)
        if limits is None:
            return Grant(0, FRESH.total_seconds())
        return self._meters.take(limits, wanted, ahead=not bulk) if limits else Grant(wanted)

    def give_back(self, relay_id: int, mailing_id: int, per_hour: int | None, unused: int) -> None:
        """Give back what was taken and not sent."""
        limits = self._allowances.limits(relay_id, mailing_id, per_hour)
        if limits and unused > 0:
            self._meters.give_back(limits, unused)

    def sort_out(
        self, domains: Mapping[int, str], now: datetime.datetime, *, bulk: bool = True
    ) -> dict[int, datetime.datetime]:
        """Return which deliveries must wait for their group of hosts, and until when; `domains`: id → domain.

        Those that wait stand in a line for each group, which moves on at the group's speed: each gets a time of its
        own, in the order of `domains`, and when that has come it is their turn. Confirmations do not queue up.

        May be called inside the ledger's transaction: on SQLite it only reads.
        """
        self._allowances.refresh()
        if not self._allowances.rules:
            return {}
        groups = self._allowances.groups_of(set(domains.values()), now)
        waiting: dict[str, list[int]] = {}
        for delivery_id, domain in domains.items():
            group = groups[domain]
            if group in self._allowances.rules:
                waiting.setdefault(group, []).append(delivery_id)
        held: dict[int, datetime.datetime] = {}
        for group, ids in waiting.items():
            held |= self._queue(group, ids, now, bulk=bulk)
        return held

    def connections(self, relay_id: int, wanted: int) -> int:
        """Return how many connections to a relay this process may hold from now on.

        0: none until other workers have let go of theirs, or because there is no such relay.
        """
        self._allowances.refresh()
        total = self._allowances.connections(relay_id)
        if relay_id == FROM_SETTINGS or not total:
            return min(wanted, total)
        return self._hold(relay_key(relay_id), wanted, total)

    def lanes(self, domains: Mapping[int, str], now: datetime.datetime) -> dict[int, tuple[str, int]]:
        """Return for deliveries to hosts that take only so many connections: their group, and how many of its messages
        this process may have on the wire at a time (at least one). Empty, and almost free, where there are none."""
        self._allowances.refresh()
        allowed = {group: terms.connections for group, terms in self._allowances.hosts.items() if terms.connections}
        if not allowed:
            return {}
        groups = self._allowances.groups_of(set(domains.values()), now)
        mine: dict[str, int] = {}
        for group in {groups[domain] for domain in domains.values()} & allowed.keys():
            total = max(1, int(allowed[group] * self._allowances.share(hosts_key(group))))
            mine[group] = max(1, self._hold(hosts_key(group), total, total))
        return {
            delivery_id: (groups[domain], mine[groups[domain]])
            for delivery_id, domain in domains.items()
            if groups[domain] in mine
        }

    def observe(self, relay_id: int, seen: Iterable[tuple[str, Outcome]], now: datetime.datetime) -> None:
        """Learn from what was answered, as (recipient's domain, outcome); "" where no recipient was named yet."""
        self._answers.observe(relay_id, seen, now)

    def close(self) -> None:
        """Let go of all connections, so that other workers have them at once."""
        for key in [key for key, (_, _, mine) in self._held.items() if mine]:
            self._shares.share(key, 0, 1, self._clock())
        self._held.clear()

    def _queue(self, group: str, ids: list[int], now: datetime.datetime, *, bulk: bool) -> dict[int, datetime.datetime]:
        rule = self._allowances.rules[group]
        if rule.standing is not None and rule.standing.is_stopped(now):
            grant = Grant(0)
            earliest = rule.standing.stopped_until or now
        else:
            grant = self._meters.take(rule.limits, len(ids), ahead=not bulk)
            earliest = now + datetime.timedelta(seconds=grant.wait)
        left = ids[grant.granted :]
        if not left:
            return {}
        first = lines.to_microseconds(earliest)
        if bulk:
            first = self._meters.line_up(rule.line, len(left), rule.interval, first, self._latest(rule.line, now))
        return {delivery_id: lines.to_datetime(first + place * rule.interval) for place, delivery_id in enumerate(left)}

    def _latest(self, line: str, now: datetime.datetime) -> int:
        """Return when a line ends at the latest. That needs a look only after a pause: this process knows its own."""
        last = self._lined_up.get(line)
        if len(self._lined_up) > _LINES:
            self._lined_up.clear()
        self._lined_up[line] = now
        if last is not None and now - last < _QUIET:
            return _FAR
        with self._app.app_context():
            return lines.last_waits_until(db.session())

    def _hold(self, key: str, wanted: int, total: int) -> int:
        now = self._clock()
        at, asked, mine = self._held.get(key, (now, -1, 0))
        if asked != wanted or mine > total or not at <= now < at + FRESH:
            mine = self._shares.share(key, wanted, total, now)
            self._held[key] = (now, wanted, mine)
        return mine
