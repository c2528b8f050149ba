"""The first page: is everything all right, what goes out next, what needs me?"""

from flask import Response, current_app, g, render_template
from sqlalchemy.orm import Session

from newsletter.admin import forecasts, words
from newsletter.admin.frame import go, pages, say
from newsletter.content import categories, sources
from newsletter.content.pacing import State
from newsletter.delivery import manual, relay_views, reports, workers
from newsletter.foundation.db import db, transaction
from newsletter.operators import alarms

_RUNS = 5
_TROUBLE = frozenset({State.FAILING, State.GONE})


@pages.get("/")
def overview() -> str:
    """Show alarms, what is in trouble, the coming digests and the last runs."""
    session = db.session()
    found = sources.listed(session, g.now)
    return render_template(
        "admin/overview.html",
        section="overview",
        alarms=alarms.standing(session),
        problems=manual.problems(session),
        workers=workers.at_work(session, g.now),
        relays=relay_views.in_trouble(session, g.now),
        coming=forecasts.lately(session, g.now),
        runs=reports.recent_runs(session, limit=_RUNS),
        pace=words.pace,
        sources=[one for one in found if one.health.state in _TROUBLE],
        unanswered=[one for one in found if one.unanswered],
        unmapped=sum(one.unmapped for one in found),
        setup=_setup(session, has_sources=bool(found)),
    )


def _setup(session: Session, *, has_sources: bool) -> list[tuple[str, str]]:
    """Return the first steps that are still to do, each with the page where it is done, in their order."""
    steps = [
        (not categories.listed(session), "Add the categories that readers can ask for", "admin.categories"),
        (not has_sources, "Add a source of articles", "admin.sources"),
    ]
    return [(text, current_app.url_for(page)) for missing, text, page in steps if missing]


@pages.post("/alarms/<int:alarm_id>/seen")
def alarm_seen(alarm_id: int) -> Response:
    """Put an alarm away."""
    with transaction() as session:
        alarms.dismiss(session, alarm_id, g.now)
    say("Noted.")
    return go("overview")
