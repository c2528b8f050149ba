"""Coming digests: what is in them, who would get them, and sending one now."""

import datetime
from zoneinfo import ZoneInfo

from flask import Response, g, render_template, request

from newsletter.admin import words
from newsletter.admin.frame import go, operator, pages, publication, say
from newsletter.audience import cadences
from newsletter.delivery import manual
from newsletter.digests import coming, editing, forecast
from newsletter.digests.due import hour_of
from newsletter.foundation.db import db, transaction
from newsletter.foundation.errors import InvalidError
from newsletter.tasks import ringing


@pages.get("/digests")
def digests() -> str:
    """List the cadences and when each comes next."""
    found = cadences.listed(db.session())
    here = publication().timezone
    return render_template(
        "admin/digests.html",
        section="digests",
        cadences=found,
        next={cadence.id: hour_of(cadence).next(here, g.now) for cadence in found},
        pace=words.pace,
    )


@pages.get("/digests/<int:cadence_id>")
def digest(cadence_id: int) -> str:
    """Show the coming digest: readers, articles, and what editors may do about it."""
    session = db.session()
    cadence = cadences.get(session, cadence_id)
    today = g.now.astimezone(ZoneInfo(publication().timezone)).date()
    return render_template(
        "admin/digest.html",
        section="digests",
        tab="coming",
        cadence=cadence,
        pace=words.pace,
        forecast=forecast.forecast(session, cadence, g.now),
        articles=coming.coming(session, cadence, g.now),
        most=coming.MOST,
        next=hour_of(cadence).next(publication().timezone, g.now),
        held=coming.held_periods(session, cadence_id, (today - datetime.timedelta(days=1)).isoformat()),
        key=manual.key(session, cadence_id),
        problems=manual.problems(session),
    )


@pages.post("/digests/<int:cadence_id>/send")
def send_digest(cadence_id: int) -> Response:
    """Send the digest now. The form's key says what its sender saw: the same key never makes a second run."""
    key = request.form.get("key", "")
    with transaction() as session:
        run, new = manual.send(session, cadence_id, key, operator().login, g.now)
    if new and run.readers:
        ringing.ring(ringing.SEND)
        say("The digest is on its way.")
    elif not new:
        say(f"This digest was sent already, by {run.triggered_by}. Nothing was sent twice.", "info")
    return go("run", run_id=run.id)


@pages.post("/digests/<int:cadence_id>/hold")
def hold_digest(cadence_id: int) -> Response:
    """Let a period's digest wait."""
    period = request.form.get("period", "")
    with transaction() as session:
        cadence = cadences.get(session, cadence_id)
        editing.hold_digest(session, cadence_id, period, operator().login, g.now)
    hours = cadence.max_lateness_minutes / 60
    say(f"The digest of {period} waits. Release it within {hours:g} hours of its time, or it is skipped.")
    return go("digest", cadence_id=cadence_id)


@pages.post("/digests/<int:cadence_id>/release")
def release_digest(cadence_id: int) -> Response:
    """Let a held digest go out."""
    period = request.form.get("period", "")
    with transaction() as session:
        editing.release_digest(session, cadence_id, period)
    say(f"The digest of {period} goes out at its time, or at once if that has passed.")
    return go("digest", cadence_id=cadence_id)


@pages.post("/digests/<int:cadence_id>/articles/<int:article_id>")
def edit_article(cadence_id: int, article_id: int) -> Response:
    """Do one thing to one article of the coming digest."""
    act = request.form.get("act", "")
    with transaction() as session:
        match act:
            case "pin":
                editing.pin(session, article_id, g.now)
                done = "It leads the next digests."
            case "unpin":
                editing.unpin(session, article_id)
                done = "It stands in its order again."
            case "leave-out":
                editing.leave_out(session, cadence_id, article_id, g.now)
                done = "Left out of this cadence's digests; others may carry it."
            case "put-back":
                editing.put_back(session, cadence_id, article_id)
                done = "Back in."
            case "hold":
                editing.hold(session, article_id, g.now)
                done = "Held back from all digests until you release it."
            case "release":
                editing.release(session, article_id, g.now)
                done = "Released: it goes out with the next digest."
            case "withdraw":
                editing.withdraw(session, article_id, g.now)
                done = "Withdrawn: it is never sent again."
            case _:
                raise InvalidError("Choose what to do with the article.")
    say(done)
    return go("digest", cadence_id=cadence_id)
