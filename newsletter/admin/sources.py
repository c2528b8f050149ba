"""Where articles come from, how that goes, and what the sources' words for categories mean here."""

from flask import Response, g, render_template, request

from newsletter.admin.frame import go, pages, say
from newsletter.content import articles, categories, terms
from newsletter.content import sources as acts
from newsletter.content.models import Backlog
from newsletter.content.parser import shared_parser
from newsletter.foundation.db import db, transaction
from newsletter.foundation.errors import ConflictError, FetchError, InvalidError, ParseError
from newsletter.foundation.services import services
from newsletter.tasks import ringing
from newsletter.tasks.content import fetch_now

_ARTICLES = 20


@pages.get("/sources")
def sources() -> str:
    """List the sources and their health, the words that mean nothing yet, and the form for one more."""
    return _page({}, {})


@pages.post("/sources")
def add_source() -> Response | tuple[str, int]:
    """Find the feed at the address, read it, and add it; a worker fetches it at once."""
    form = request.form
    user, password = form.get("username", "").strip(), form.get("password", "")
    credentials = (user, password) if user else None
    backlog = form.get("backlog", "")
    try:
        if not form.get("address", "").strip():
            return _page(form.to_dict(), {"address": "Type the address of a feed, or of the site."}), 422
        found = acts.look(form["address"], services().fetcher, shared_parser(), credentials)
        with transaction() as session:
            source = acts.add(
                session,
                found,
                g.now,
                vault=services().vault,
                default_category_id=form.get("category", type=int),
                backlog=Backlog(backlog) if backlog in set(Backlog) else Backlog.ASK,
                credentials=credentials,
            )
    except (FetchError, ParseError, ConflictError, InvalidError) as error:
        return _page(form.to_dict(), {"address": str(error)}), 422
    ringing.ring(ringing.FETCH)
    say(f"Found “{source.title or source.url}” with {len(found.feed.entries):,} articles. It is fetched in a moment.")
    return go("source", source_id=source.id)


@pages.get("/sources/<int:source_id>")
def source(source_id: int) -> str:
    """Show one source: its health, its words, its latest articles."""
    session = db.session()
    return render_template(
        "admin/source.html",
        section="sources",
        source=acts.view(session, source_id, g.now),
        terms=terms.listed(session, source_id),
        articles=articles.recent(session, g.now, source_id=source_id, limit=_ARTICLES),
        categories=categories.listed(session),
    )


@pages.post("/sources/<int:source_id>")
def change_source(source_id: int) -> Response:
    """Change its name and where articles go that no word sorts."""
    with transaction() as session:
        acts.rename(session, source_id, request.form.get("title", ""))
        acts.set_default_category(session, source_id, request.form.get("category", type=int))
    say("Saved.")
    return go("source", source_id=source_id)


@pages.post("/sources/<int:source_id>/fetch")
def fetch_source(source_id: int) -> Response:
    """Fetch it now, and say what came of it."""
    with transaction() as session:
        acts.retry(session, source_id, g.now)
    outcome = fetch_now(source_id)
    if outcome.problem:
        say(outcome.problem, "warning")
    else:
        stored = outcome.stored
        say(
            f"Fetched: {stored.new:,} new, {stored.changed:,} changed."
            if stored.new or stored.changed
            else "Nothing new."
        )
    return go("source", source_id=source_id)


@pages.post("/sources/<int:source_id>/pause")
def pause_source(source_id: int) -> Response:
    """Ask it no more until it is resumed."""
    with transaction() as session:
        acts.pause(session, source_id, g.now)
    say("Paused: it is not asked any more. What it brought before goes out as usual.")
    return go("source", source_id=source_id)


@pages.post("/sources/<int:source_id>/resume")
def resume_source(source_id: int) -> Response:
    """Ask it again, at once."""
    with transaction() as session:
        acts.resume(session, source_id, g.now)
    ringing.ring(ringing.FETCH)
    say("Resumed.")
    return go("source", source_id=source_id)


@pages.post("/sources/<int:source_id>/backlog")
def answer_backlog(source_id: int) -> Response:
    """Say whether what it had at first counts as seen or as new."""
    answer = request.form.get("act", "")
    if answer not in (Backlog.SEEN, Backlog.NEW):
        raise InvalidError("Choose whether these articles count as seen or as new.")
    with transaction() as session:
        number = acts.answer_backlog(session, source_id, g.now, release=answer == Backlog.NEW)
    say(
        f"{number:,} articles go out with the next digests."
        if number
        else "They count as seen: no digest carries them."
    )
    return go("source", source_id=source_id)


@pages.post("/sources/<int:source_id>/remove")
def remove_source(source_id: int) -> Response:
    """Remove it; articles that digests may carry stay."""
    with transaction() as session:
        acts.remove(session, source_id)
    say("The source is removed.")
    return go("sources")


@pages.post("/terms/<int:term_id>")
def decide_term(term_id: int) -> Response:
    """Say which category a source's word means, or that it means nothing here."""
    category_id = request.form.get("category", type=int)
    with transaction() as session:
        if request.form.get("act") == "ignore":
            terms.ignore(session, term_id, g.now)
        elif category_id is None:
            raise InvalidError("Choose a category, or let the word mean nothing.")
        else:
            terms.map_to(session, term_id, category_id)
    source_id = request.form.get("source", type=int)
    say("Noted, also for articles that wait.")
    return go("source", source_id=source_id) if source_id else go("sources")


def _page(typed: dict[str, str], errors: dict[str, str]) -> str:
    session = db.session()
    return render_template(
        "admin/sources.html",
        section="sources",
        sources=acts.listed(session, g.now),
        unmapped=terms.unmapped(session),
        categories=categories.listed(session),
        typed=typed,
        errors=errors,
    )
