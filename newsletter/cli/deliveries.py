"""`newsletter deliveries`: every mail and what became of it."""

import csv
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

import click
from flask.cli import AppGroup

from newsletter.cli import report
from newsletter.delivery import control, reports
from newsletter.delivery.models import DeliveryState
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.tasks import ringing

group: Final = AppGroup("deliveries", help="Every mail and what became of it.")
_COLUMNS: Final = (
    "id", "run_id", "kind", "address", "subscriber_id", "state", "reason", "attempts",
    "offered_at", "settled_at", "retry_at", "reply_code", "reply_text",
)  # fmt: skip
_run = click.option("--run", "run_id", type=int, help="Only of this run.")
_state = click.option(
    "--state", type=click.Choice([state.value for state in DeliveryState]), help="Only in this state."
)


@group.command("list")
@_run
@_state
@click.option("--after", default=0, type=int, metavar="ID", help="Only those that follow this one.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@report.as_json
def list_(run_id: int | None, state: str | None, after: int, limit: int, as_json: bool) -> None:
    """Show deliveries by id, a page at a time."""
    found = reports.deliveries(db.session(), run_id=run_id, state=_word(state), after=after, limit=limit)
    rows = [row.as_row() for row in found]
    if not as_json:
        shown = ("id", "run_id", "address", "state", "reason", "attempts", "offered_at", "reply_text")
        rows = [{name: row[name] for name in shown} for row in rows]
    report.rows(rows, as_json, title="Deliveries", empty="There is none of this kind.")


@group.command()
@_run
@_state
@click.option("--raw", is_flag=True, help="For programs: cells that a spreadsheet would take for formulas as they are.")
def export(run_id: int | None, state: str | None, raw: bool) -> None:
    """Write deliveries as CSV to standard output, however many."""
    found = reports.all_deliveries(db.session(), run_id=run_id, state=_word(state))
    _write((row.as_row() for row in found), raw)


@group.command()
@click.argument("deliveries", nargs=-1, type=int, metavar="ID…")
@click.option("--all", "everything", is_flag=True, help="All that are unknown and wait for a decision.")
@click.option(
    "--as", "settlement", required=True, type=click.Choice([one.value for one in control.Settlement]),
    help="resend: offer again with the same Message-ID; leave: let it be.",
)  # fmt: skip
@report.as_json
def settle(deliveries: tuple[int, ...], everything: bool, settlement: str, as_json: bool) -> None:
    """Decide about deliveries whose fate is unknown."""
    if bool(deliveries) == everything:
        raise click.UsageError("Name deliveries by their ids, or give --all.")
    chosen = control.Settlement(settlement)
    with transaction() as session:
        number = control.settle_unknown(session, None if everything else deliveries, chosen, utc_now())
    if chosen is control.Settlement.RESEND:
        ringing.ring(ringing.SEND)
    report.facts({"settled": number, "as": chosen.value}, as_json)


def _word(state: str | None) -> DeliveryState | None:
    return DeliveryState(state) if state else None


def _write(rows: Iterable[Mapping[str, Any]], raw: bool) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow(_COLUMNS)
    for row in rows:
        cells = ["" if row[name] is None else str(row[name]) for name in _COLUMNS]
        writer.writerow(cells if raw else map(inert, cells))


def inert(cell: str) -> str:
    """Return `cell` so that no spreadsheet takes it for a formula (CWE-1236), full-width signs and quotes included."""
    bare = cell.lstrip(" \"'")
    return f"'{cell}" if bare[:1] in tuple("=+-@\t\r\n＝＋－＠") and bare else cell
