"""`newsletter runs`: what went out when, and how it fared."""

from typing import Final

import click
from flask.cli import AppGroup

from newsletter.cli import report
from newsletter.delivery import control, reports
from newsletter.delivery.models import Mailing
from newsletter.delivery.replies import Failure
from newsletter.digests import runs
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.errors import ConflictError
from newsletter.tasks import ringing

group: Final = AppGroup("runs", help="What went out when, and how it fared.")
_FAILURES: Final[dict[str, Failure | None]] = {failure.value: failure for failure in Failure} | {"none": None}
"""`none`: no message could be made."""


@group.command("list")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000))
@click.option("--before", type=int, metavar="RUN", help="Only runs older than this one.")
@report.as_json
def list_(limit: int, before: int | None, as_json: bool) -> None:
    """Show runs, newest first, also those that sent nothing."""
    found = [one.as_row() for one in reports.recent_runs(db.session(), before=before, limit=limit)]
    if not as_json:
        found = [
            {
                "id": row["id"],
                "cadence": row["cadence"],
                "for": row["period"] or f"sent by {row['triggered_by']}",
                "state": row["state"],
                "why": row["skip_reason"],
                "readers": row["readers"],
                "articles": row["articles"],
                **row["deliveries"],
            }
            for row in found
        ]
    report.rows(found, as_json, title="Runs", empty="No run yet. Make one: newsletter digests send")


@group.command()
@click.argument("run_id", type=int, metavar="RUN")
@report.as_json
def show(run_id: int, as_json: bool) -> None:
    """Show one run: its window, its audience, and its mails by state."""
    found = reports.one_run(db.session(), run_id)
    figures = runs.figures(db.session(), run_id)
    row = found.as_row() | {"zones": list(figures.zones), "by_category": figures.by_category}
    if found.mailing is not None:
        row |= {"paused_because": found.mailing.paused_because or None, "per_hour": found.mailing.per_hour}
        now = reports.progress(found.mailing, utc_now())
        row |= {"mails_per_second": round(now.rate, 1), "seconds_left": now.seconds_left}
    report.facts(row, as_json)


@group.command()
@click.argument("run_id", type=int, metavar="RUN")
def pause(run_id: int) -> None:
    """Hand nothing more over until resumed."""
    with transaction() as session:
        control.pause(session, _mailing(run_id).id)
    report.say("Paused.")


@group.command()
@click.argument("run_id", type=int, metavar="RUN")
def resume(run_id: int) -> None:
    """Go on with a paused run."""
    with transaction() as session:
        control.resume(session, _mailing(run_id).id, utc_now())
    report.say("Sending goes on.")


@group.command()
@click.argument("run_id", type=int, metavar="RUN")
@click.option("--yes", is_flag=True, help="Do not ask.")
def cancel(run_id: int, yes: bool) -> None:
    """Send nothing more of a run, for good."""
    mailing = _mailing(run_id)
    if not yes:
        waiting = mailing.planned + mailing.deferred
        click.confirm(f"{waiting:,} mails are then never sent. Cancel the run?", abort=True, err=True)
    with transaction() as session:
        control.cancel(session, mailing.id, utc_now())
    report.say("Cancelled. What the relay accepted before cannot be called back.")


@group.command()
@click.argument("run_id", type=int, metavar="RUN")
@click.argument("per_hour", metavar="MAILS|none")
def speed(run_id: int, per_hour: str) -> None:
    """Let at most so many mails of a run leave in an hour; `none`: as many as the relays take."""
    whole = per_hour.isascii() and per_hour.isdigit() and len(per_hour) <= 12
    number = None if per_hour == "none" else int(per_hour) if whole else 0  # 0 is refused in words
    with transaction() as session:
        control.set_speed(session, _mailing(run_id).id, number)
    report.say("It goes as fast as the relays take it." if number is None else f"At most {number:,} mails an hour.")


@group.command()
@click.argument("run_id", type=int, metavar="RUN")
@click.option(
    "--failure", "failures", multiple=True, type=click.Choice(list(_FAILURES)),
    help="What they failed for (repeat); without, how many failed for what is shown, and nothing is sent.",
)  # fmt: skip
@click.option("--yes", is_flag=True, help="Do not ask.")
@report.as_json
def resend(run_id: int, failures: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Send again to those who failed, with the same Message-ID; not to those who left or were suppressed since."""
    mailing = _mailing(run_id)
    counts = control.failed_by_class(db.session(), mailing.id)
    if not failures:
        rows = [{"failure": name, "mails": counts[one]} for name, one in _FAILURES.items() if one in counts]
        report.rows(rows, as_json, title="Failed", empty="No mail of this run failed.")
        return
    chosen = [_FAILURES[name] for name in failures]
    if not yes:
        number = sum(counts.get(one, 0) for one in chosen)
        click.confirm(f"Up to {number:,} mails are offered again. Resend?", abort=True, err=True)
    with transaction() as session:
        number = control.resend_failed(session, mailing.id, chosen, utc_now())
    ringing.ring(ringing.SEND)
    report.facts({"resent": number}, as_json)


def _mailing(run_id: int) -> Mailing:
    mailing = reports.one_run(db.session(), run_id).mailing
    if mailing is None:
        raise ConflictError("This run sent nothing, so there is nothing to stop.")
    return mailing
