"""The first page: is everything all right, what goes out next, what needs me?"""

from flask import Response, g, render_template

from newsletter.admin import words
from newsletter.admin.frame import go, pages, publication, say
from newsletter.audience import cadences
from newsletter.delivery import manual, reports, workers
from newsletter.digests import forecast
from newsletter.foundation.db import db, transaction
from newsletter.operators import alarms

_RUNS = 5


@pages.get("/")
def overview() -> str:
    """Show alarms, what is in trouble, the coming digests and the last runs."""
    session = db.session()
    return render_template(
        "admin/overview.html",
        section="overview",
        alarms=alarms.standing(session),
        problems=manual.problems(session),
        workers=workers.at_work(session, g.now),
        relay=reports.relay_state(session),
        coming=[(one, forecast.forecast(session, one, g.now)) for one in cadences.listed(session)],
        runs=reports.recent_runs(session, limit=_RUNS),
        pace=words.pace,
        home=publication().timezone,
    )


@pages.post("/alarms/<int:alarm_id>/seen")
def alarm_seen(alarm_id: int) -> Response:
    """Put an alarm away."""
    with transaction() as session:
        alarms.dismiss(session, alarm_id, g.now)
    say("Noted.")
    return go("overview")
