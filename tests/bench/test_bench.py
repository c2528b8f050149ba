"""The benchmarks run and say what they promise to say. How fast anything is, no test asks."""

import json
from collections.abc import Iterable

import pytest
from click.testing import CliRunner

from bench.__main__ import BENCHMARKS, bench
from bench.figures import Figure, Goal, document, markdown
from bench.measuring import Effort, by_turns
from tests.servers.given import Missing

FIELDS = ["name", "value", "unit", "peer", "peer_value", "ratio", "goal", "holds"]
SHOWN = Figure("digest-sqlite:limit", 4500.0, "mails/s", "no ledger", 5000.0, Goal("≥", 0.95, of_peer=True))


def test_one_quick_figure_makes_one_document() -> None:
    done = CliRunner().invoke(bench, ["--quick", "--json", "--only", "composing"])
    assert done.exit_code == 0, done.output
    (figure,) = json.loads(done.stdout)["figures"]
    assert list(figure) == FIELDS
    assert figure["name"] == "composing"
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


def test_what_this_machine_lacks_is_named_and_the_rest_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(_effort: Effort) -> Iterable[Figure]:
        raise Missing("No PostgreSQL: get it so and so")

    monkeypatch.setitem(BENCHMARKS, "digest-postgresql", lacking)
    monkeypatch.setitem(BENCHMARKS, "digest-sqlite", lambda _effort: [SHOWN])
    done = CliRunner().invoke(bench, ["--json", "--only", "digest-postgresql", "--only", "digest-sqlite"])
    assert "No PostgreSQL: get it so and so" in done.stderr
    assert [figure["name"] for figure in json.loads(done.stdout)["figures"]] == [SHOWN.name]
