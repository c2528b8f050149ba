"""The benchmarks run and say what they promise to say. How fast anything is, no test asks."""

import datetime
import json
from collections.abc import Iterable

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import select

from bench import readers
from bench.__main__ import BENCHMARKS, bench
from bench.figures import Figure, Goal, document, markdown
from bench.measuring import Effort, by_turns
from newsletter.audience import cadences
from newsletter.audience.models import Subscriber, Subscription, SubscriptionState
from newsletter.content import categories
from newsletter.foundation.db import db, transaction
from tests.servers.given import Missing

FIELDS = ["name", "value", "unit", "peer", "peer_value", "ratio", "goal", "holds"]
SHOWN = Figure("digest-sqlite:limit", 4500.0, "mails/s", "no ledger", 5000.0, Goal("≥", 0.95, of_peer=True))


def test_one_quick_figure_makes_one_document() -> None:
    done = CliRunner().invoke(bench, ["--quick", "--json", "--only", "composing"])
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)["figures"]
    assert [figure["name"] for figure in figures] == ["composing", "composing:flat", "composing:alone"]
    figure = figures[0]
    assert list(figure) == FIELDS
    assert figure["unit"] == "mails/s"
    assert figure["value"] > 0
    assert figure["ratio"] == pytest.approx(figure["value"] / figure["peer_value"], rel=0.01)
    assert figure["goal"] is None
    assert figure["holds"] is None


def test_a_goal_is_judged_by_the_value_or_by_the_ratio() -> None:
    (row,) = document([SHOWN])["figures"]
    assert (row["ratio"], row["goal"], row["holds"]) == (0.9, "≥ 0.95 × peer", False)
    assert Figure("memory:1000", 150.0, "MB", "idle", 100.0, Goal("≤", 150)).holds is True
    assert Figure("memory:1000", 150.1, "MB", "idle", 100.0, Goal("≤", 150)).holds is False
    assert Goal("≤", 150).words("MB") == "≤ 150 MB"


def test_the_pages_table_has_a_row_for_each_figure() -> None:
    head, rule, row = markdown([SHOWN]).splitlines()
    assert head.count("|") == rule.count("|") == row.count("|") == 8
    assert "| 4,500 mails/s |" in row


def test_measures_take_turns() -> None:
    taken: list[str] = []
    results = by_turns(2, lambda: taken.append("ours"), lambda: taken.append("peer"))
    assert taken == ["ours", "peer", "ours", "peer"]
    assert [len(one) for one in results] == [2, 2]


def test_an_unknown_figure_is_refused_with_the_names_of_those_there_are() -> None:
    done = CliRunner().invoke(bench, ["--only", "speed"])
    assert done.exit_code == 2
    assert "digest-postgresql" in done.output


def test_a_figure_is_picked_out_of_its_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    def both(_effort: Effort) -> Iterable[Figure]:
        return [SHOWN, Figure("digest-sqlite:cpu", 1.0, "µs/mail", "no ledger", 1.0)]

    monkeypatch.setitem(BENCHMARKS, "digest-sqlite", both)
    done = CliRunner().invoke(bench, ["--json", "--only", "digest-sqlite:cpu"])
    assert [figure["name"] for figure in json.loads(done.stdout)["figures"]] == ["digest-sqlite:cpu"]


def test_what_takes_minutes_is_not_begun_for_figures_that_nobody_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []

    def million(_effort: Effort) -> Iterable[Figure]:
        for name in ("planning-1000000", "memory:10000", "memory:1000000", "digest-million"):
            begun.append(name)
            yield Figure(name, 1.0, "s", "as ever", 1.0)

    for name in ("planning-1000000", "memory", "digest-million"):
        monkeypatch.setitem(BENCHMARKS, name, million)
    for chosen, shown, seen in (
        ("planning-1000000", ["planning-1000000"], 2),
        ("memory:10000", ["memory:10000"], 4),
        ("memory", ["memory:10000", "memory:1000000"], 4),
        ("digest-million", ["digest-million"], 4),
    ):
        begun.clear()
        done = CliRunner().invoke(bench, ["--json", "--only", chosen])
        assert [figure["name"] for figure in json.loads(done.stdout)["figures"]] == shown
        assert len(begun) == seen


def test_readers_are_copied_with_what_they_take(app_on_each: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "_SEEDED", 4)
    now = datetime.datetime(2026, 11, 23, 6, tzinfo=datetime.UTC)
    with transaction() as session:
        cadences.ensure_defaults(session)
        taken = [categories.ensure(session, f"Category {number}").id for number in range(4)]
        daily = cadences.by_slug(session, "daily").id
        for number in range(1, 5):
            address = f"reader-{number}@readers.example"
            zone = f"Etc/GMT+{number}"
            facts = {"address_hash": f"hash {number}", "domain_hash": "d", "language": "en", "timezone": zone}
            reader = Subscriber(address=address, folded=address, created_at=now, confirmed_at=now, **facts)
            session.add(reader)
            session.flush()
            for category in taken[:number]:
                choice = {"category_id": category, "cadence_id": daily, "state": SubscriptionState.ACTIVE}
                session.add(Subscription(subscriber_id=reader.id, created_at=now, **choice))
    for there, count in ((4, 10), (10, 13)):
        with transaction() as session:
            readers.copy(session, there, count)
    rows = db.session.execute(
        select(Subscriber.id, Subscriber.address, Subscriber.address_hash, Subscriber.timezone, Subscription.id)
        .join(Subscription)
        .order_by(Subscriber.id)
    ).all()
    like = {number: (number - 1) % 4 + 1 for number in range(1, 14)}
    assert [row[0] for row in rows] == [number for number in like for _ in range(like[number])]
    assert {row[1] for row in rows} == {f"reader-{number}@readers.example" for number in like}
    assert len({row[2] for row in rows}) == 13
    assert {row[0]: row[3] for row in rows} == {number: f"Etc/GMT+{like[number]}" for number in like}


def test_what_this_machine_lacks_is_named_and_the_rest_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(_effort: Effort) -> Iterable[Figure]:
        raise Missing("No PostgreSQL: get it so and so")

    monkeypatch.setitem(BENCHMARKS, "digest-postgresql", lacking)
    monkeypatch.setitem(BENCHMARKS, "digest-sqlite", lambda _effort: [SHOWN])
    done = CliRunner().invoke(bench, ["--json", "--only", "digest-postgresql", "--only", "digest-sqlite"])
    assert "No PostgreSQL: get it so and so" in done.stderr
    assert [figure["name"] for figure in json.loads(done.stdout)["figures"]] == [SHOWN.name]
