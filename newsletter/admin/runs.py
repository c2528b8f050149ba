"""What went out, how it is going, and what can be done about it."""

from typing import Any

from flask import Response, g, render_template, request
from sqlalchemy.orm import Session

from newsletter.admin import words
from newsletter.admin.frame import go, pages, say
from newsletter.delivery import control, relay_views, reports
from newsletter.delivery.models import DeliveryState, Mailing
from newsletter.delivery.replies import Failure
from newsletter.foundation.db import db, transaction
from newsletter.foundation.errors import ConflictError, InvalidError
from newsletter.tasks import ringing

_RUNS = 30
_DELIVERIES = 100


@pages.get("/runs")
def runs() -> str:
    """List runs, newest first, those that sent nothing too."""
    found = reports.recent_runs(db.session(), before=request.args.get("before", type=int), limit=_RUNS)
    return render_template(
        "admin/runs.html",
        section="runs",
        runs=found,
        older=found[-1].run.id if len(found) == _RUNS else None,
        paged="before" in request.args,
    )


@pages.get("/runs/<int:run_id>")
def run(run_id: int) -> str:
    """Show one run: its counts, its progress, what the relay says, and how to stop it."""
    session = db.session()
    report = reports.one_run(session, run_id)
    return render_template(
        "admin/run.html",
        section="runs",
        report=report,
        run=report.run,
        mailing=report.mailing,
        progress=reports.progress(report.mailing, g.now) if report.mailing else None,
        line=_line(report.mailing) if report.mailing else "",
        failed=_failed(session, report.mailing) if report.mailing else [],
        relays=relay_views.in_trouble(session, g.now),
    )


@pages.get("/runs/<int:run_id>/progress")
def run_progress(run_id: int) -> dict[str, Any]:
    """Answer the script that keeps the page of a run up to date: figures as the page writes them."""
    report = reports.one_run(db.session(), run_id)
    if report.mailing is None:
        return {"state": report.state}
    now = reports.progress(report.mailing, g.now)
    return {
        "state": report.state,
        "done": now.done,
        "total": now.total,
        "line": _line(report.mailing),
        "counts": {state: f"{number:,}" for state, number in report.counts.items()},
    }


@pages.get("/runs/<int:run_id>/deliveries")
def run_deliveries(run_id: int) -> str:
    """List a run's deliveries in one state, with the relay's words."""
    report = reports.one_run(db.session(), run_id)
    wanted = request.args.get("state", "")
    state = DeliveryState(wanted) if wanted in set(DeliveryState) else None
    after = request.args.get("after", 0, type=int)
    found = reports.deliveries(db.session(), run_id=run_id, state=state, after=after, limit=_DELIVERIES)
    return render_template(
        "admin/deliveries.html",
        section="runs",
        report=report,
        run=report.run,
        deliveries=found,
        state=state.value if state else "",
        states=[one.value for one in DeliveryState],
        next=found[-1].id if len(found) == _DELIVERIES else None,
    )


@pages.post("/runs/<int:run_id>/pause")
def pause_run(run_id: int) -> Response:
    """Hand nothing more over until resumed."""
    with transaction() as session:
        control.pause(session, _mailing(run_id).id)
    say("Paused. What was handed over may still be accepted; nothing else is.")
    return go("run", run_id=run_id)


@pages.post("/runs/<int:run_id>/resume")
def resume_run(run_id: int) -> Response:
    """Go on."""
    with transaction() as session:
        control.resume(session, _mailing(run_id).id, g.now)
    say("Sending goes on.")
    return go("run", run_id=run_id)


@pages.post("/runs/<int:run_id>/speed")
def set_run_speed(run_id: int) -> Response:
    """Let at most so many mails leave in an hour; an empty field: as many as the relays take."""
    typed = request.form.get("per_hour", "").strip()
    number = int(typed) if typed.isascii() and typed.isdigit() and len(typed) <= 12 else 0  # 0 is refused in words
    with transaction() as session:
        control.set_speed(session, _mailing(run_id).id, number if typed else None)
    say(f"At most {number:,} mails leave in an hour." if typed else "It goes as fast as the relays take it.")
    return go("run", run_id=run_id)


@pages.post("/runs/<int:run_id>/resend")
def resend_run(run_id: int) -> Response:
    """Send again to those who failed for the chosen reasons, with the same Message-ID."""
    named = {_key(failure): failure for failure in words.FAILURES}
    chosen = [named[key] for key in request.form.getlist("failures") if key in named]
    if not chosen:
        raise InvalidError("Choose at least one reason for which mails failed.")
    with transaction() as session:
        number = control.resend_failed(session, _mailing(run_id).id, chosen, g.now)
    if number:
        ringing.ring(ringing.SEND)
        say(f"{number:,} {'mail is' if number == 1 else 'mails are'} offered again, with the same Message-ID.")
    else:
        say("Nobody is left of these: they left, paused, or are suppressed by now.", "warning")
    return go("run", run_id=run_id)


@pages.post("/runs/<int:run_id>/cancel")
def cancel_run(run_id: int) -> Response:
    """Stop for good."""
    with transaction() as session:
        control.cancel(session, _mailing(run_id).id, g.now)
    say("Cancelled. What the relay accepted before cannot be called back.")
    return go("run", run_id=run_id)


def _mailing(run_id: int) -> Mailing:
    mailing = reports.one_run(db.session(), run_id).mailing
    if mailing is None:
        raise ConflictError("This run sent nothing, so there is nothing to stop.")
    return mailing


def _failed(session: Session, mailing: Mailing) -> list[tuple[str, str, str, int]]:
    """Return for each class of failures its key, its words, what to know of it, and how many there are."""
    found = control.failed_by_class(session, mailing.id) if mailing.failed else {}
    return [(_key(one), *words.FAILURES[one], found[one]) for one in words.FAILURES if one in found]


def _key(failure: Failure | None) -> str:
    return failure.value if failure else "none"


def _line(mailing: Mailing) -> str:
    """Say how far it is: `48,210 of 61,000 · 812 mails/s, 16 s left`."""
    now = reports.progress(mailing, g.now)
    parts = [f"{now.done:,} of {now.total:,}"]
    if now.seconds_left is not None and now.open:
        parts.append(f"{words.rate(now.rate)}, {words.duration(now.seconds_left)} left")
    return " · ".join(parts)
