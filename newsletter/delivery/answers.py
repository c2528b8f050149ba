"""Learning from what relays and hosts answer: who asks for less gets less at once, and more again bit by bit."""

import datetime
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from flask import Flask
from sqlalchemy import select

from newsletter.delivery import replies, slowdowns
from newsletter.delivery.allowances import Allowances
from newsletter.delivery.models import Slowdown
from newsletter.delivery.replies import Outcome, Verdict
from newsletter.delivery.sharing import Shares
from newsletter.delivery.slowdowns import Standing, hosts_key, relay_key
from newsletter.foundation.db import lock_rows, transaction

_WINDOW: Final = 10.0
"""Seconds over which it is measured how fast mail is accepted."""


class Answers:
    """What one worker process hears, noted for all of them."""

    def __init__(self, app: Flask, allowances: Allowances, shares: Shares) -> None:
        self._app, self._allowances, self._shares = app, allowances, shares
        self._recent = Recent()

    def observe(self, relay_id: int, seen: Iterable[tuple[str, Outcome]], now: datetime.datetime) -> None:
        """Take in (recipient's domain, outcome); the domain is "" where no recipient had been named yet."""
        accepted: list[str] = []
        asked: list[tuple[str, Outcome]] = []
        for domain, outcome in seen:
            if outcome.verdict is Verdict.ACCEPTED:
                accepted.append(domain)
            elif slowdowns.stops(outcome) or replies.slows_down(outcome):
                asked.append((domain, outcome))
        self._recent.add(accepted, now)
        if asked:
            self._slow_down(relay_id, asked, now)
        if accepted and self._allowances.standing:
            self._come_back(relay_id, accepted, now)

    def _slow_down(self, relay_id: int, asked: list[tuple[str, Outcome]], now: datetime.datetime) -> None:
        self._allowances.refresh()
        groups = self._allowances.groups_of({domain for domain, _ in asked if domain}, now)
        worst: dict[str, Outcome] = {}
        for domain, outcome in asked:
            stop = slowdowns.stops(outcome)
            by_relay = not domain or (outcome.code == 421 and not stop)  # 421 ends the connection, which is the relay's
            key = relay_key(relay_id) if by_relay else hosts_key(groups[domain])
            if stop or key not in worst:
                worst[key] = outcome
        with self._app.app_context(), transaction() as session:
            for key, outcome in sorted(worst.items()):
                row = session.scalar(lock_rows(session, select(Slowdown).where(Slowdown.key == key)))
                old = Standing.of(row) if row else None
                because, pace = f"{outcome.code} {outcome.text}", self._pace(key, groups, now)
                if slowdowns.stops(outcome) and key != relay_key(relay_id):
                    whole = self._allowances.whole(key, relay_id)
                    new = slowdowns.stopped(old, now, because, pace, whole)
                else:
                    new = slowdowns.halved(old, now, because, pace)
                if new is not None:
                    slowdowns.change(session, key, old, new, now)
        self._allowances.forget()

    def _come_back(self, relay_id: int, accepted: list[str], now: datetime.datetime) -> None:
        due: dict[str, Standing] = {}
        for key, old in self._allowances.standing.items():
            new = slowdowns.given_back(old, now, self._allowances.whole(key, relay_id))
            if new is not None:
                due[key] = new
        if not due:
            return
        groups = self._allowances.groups_of(set(accepted), now)
        sent_to = {hosts_key(groups[domain]) for domain in set(accepted)} | {relay_key(relay_id)}
        with self._app.app_context(), transaction() as session:
            for key in sorted(due.keys() & sent_to):
                slowdowns.change(session, key, self._allowances.standing[key], due[key], now)
        self._allowances.forget()

    def _pace(self, key: str, groups: Mapping[str, str], now: datetime.datetime) -> float:
        """Return how many messages a second went there lately, from all workers as far as this one can tell."""
        own = sum(
            pace for domain, pace in self._recent.paces(now).items() if hosts_key(groups.get(domain, domain)) == key
        )
        return max(1.0, own * self._shares.sharers())


class Recent:
    """How many messages each domain has accepted lately."""

    def __init__(self) -> None:
        self._now: Counter[str] = Counter()
        self._since: datetime.datetime | None = None
        self._before: dict[str, float] = {}

    def add(self, domains: list[str], now: datetime.datetime) -> None:
        """Count one message for each of `domains`."""
        self._roll(now)
        self._now.update(domains)

    def paces(self, now: datetime.datetime) -> dict[str, float]:
        """Return messages a second, from the last full window or from this one, whichever is more."""
        self._roll(now)
        seconds = max(1.0, (now - (self._since or now)).total_seconds())
        current = {domain: number / seconds for domain, number in self._now.items()}
        return {
            domain: max(current.get(domain, 0.0), self._before.get(domain, 0.0))
            for domain in current.keys() | self._before.keys()
        }

    def _roll(self, now: datetime.datetime) -> None:
        if self._since is None or now < self._since:
            self._now, self._since, self._before = Counter(), now, {}
        seconds = (now - self._since).total_seconds()
        if seconds >= _WINDOW:
            # After a pause the last window does not tell how fast it goes now.
            self._before = {d: n / seconds for d, n in self._now.items()} if seconds < 2 * _WINDOW else {}
            self._now, self._since = Counter(), now
