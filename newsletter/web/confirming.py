"""The page behind the confirmation mail's button, and the one for whoever did not ask.

GET shows, also to the programs that open every link of a mail; only a press of the button acts (standards D1).
"""

from typing import Any

from flask import Response, current_app, g, request

from newsletter.audience import cadences, confirmation, subscribers
from newsletter.audience.confirmation import ConfirmationState, ConfirmationView
from newsletter.audience.models import SignupOutcome
from newsletter.digests.schedule import Hour
from newsletter.foundation import languages
from newsletter.foundation.db import db, transaction
from newsletter.foundation.links import Link
from newsletter.foundation.services import services
from newsletter.foundation.tokens import Purpose
from newsletter.tasks import ringing
from newsletter.web import arrival, wording
from newsletter.web.frame import client, language, pages, render, speak
from newsletter.web.offer import category_names


@pages.get("/confirm/<token>", endpoint="confirm")
def ask(token: str) -> Response:
    """Show the words once more, and the button."""
    return _page(_look(_read(token)))


@pages.post("/confirm/<token>")
def confirm_or_renew(token: str) -> Response:
    """Confirm, or have a new mail sent for a link that has expired."""
    confirmation_id = _read(token)
    answer = _renew(confirmation_id) if request.form.get("act") == "renew" else _confirm(confirmation_id)
    arrival.note_confirmation(confirmation_id)
    return answer


def _read(token: str) -> int:
    """Return the confirmation's id. Whether its time is over is its row's to say: then the page offers a new mail."""
    return int(services().tokens.read(Purpose.CONFIRM, token, expired_too=True))


def _look(confirmation_id: int) -> ConfirmationView:
    view = confirmation.look(db.session(), confirmation_id, g.now)
    speak(view.language)
    return view


def _confirm(confirmation_id: int) -> Response:
    before = _look(confirmation_id)
    source = client("confirmation", services().links.page("confirm"))
    with transaction() as session:
        view = confirmation.confirm(session, confirmation_id, g.now, source)
    if before.state is not ConfirmationState.READY or view.state is not ConfirmationState.CONFIRMED:
        return _page(view)
    reader = subscribers.get(db.session(), view.subscriber_id)
    facts = _facts(view)
    names = languages.listing(facts.pop("categories"), language())
    return render(
        "confirmed.html", categories=names, next_at=_next(view, reader.timezone), zone=reader.timezone, **facts
    )


def _renew(confirmation_id: int) -> Response:
    view = _look(confirmation_id)
    if view.state is not ConfirmationState.EXPIRED:
        return _page(view)
    with transaction() as session:
        outcome = confirmation.ask_again(session, services().hasher, confirmation_id, g.now)
    if outcome is SignupOutcome.ALREADY:
        return _page(_look(confirmation_id))
    ringing.ring(ringing.CONFIRM)
    lifetime = languages.span(confirmation.LIFETIME, language())
    return render("confirm.html", state="renewed", masked=view.masked, lifetime=lifetime)


def _page(view: ConfirmationView) -> Response:
    if view.state is ConfirmationState.REFUSED:
        return render("not_me.html", state="done", masked=view.masked)
    if view.state is ConfirmationState.EXPIRED:
        return render("confirm.html", state="expired", masked=view.masked)
    if view.state is ConfirmationState.CONFIRMED:
        return render("confirm.html", state="already", **_facts(view))
    token = services().tokens.make(Purpose.NOT_ME, view.id)
    return render(
        "confirm.html",
        state="ready",
        words=[words.text for words in view.texts],
        not_me_url=current_app.url_for("web.not_me", token=token),
        **_facts(view),
    )


def _facts(view: ConfirmationView) -> dict[str, Any]:
    names = category_names()
    cadence = cadences.get(db.session(), view.cadence_id) if view.cadence_id is not None else None
    preferences = services().links.token(Link.PREFERENCES, view.subscriber_id, 0, 0)
    return {
        "masked": view.masked,
        "categories": [name for id_, name in names.items() if id_ in view.category_ids],
        "cadence": wording.pace(cadence) if cadence else "",
        "hour": wording.hour(cadence) if cadence else "",
        "preferences_url": current_app.url_for("web.preferences", token=preferences),
    }


def _next(view: ConfirmationView, zone: str) -> Any:
    if view.cadence_id is None:
        return None
    cadence = cadences.get(db.session(), view.cadence_id)
    due = Hour(cadence.weekdays, cadence.hour, cadence.minute).next(zone, g.now)
    return due.instant if due else None


@pages.get("/not-me/<token>", endpoint="not_me")
def ask_not_me(token: str) -> Response:
    """Ask, or say that it is done already."""
    return _not_me(_look(int(services().tokens.read(Purpose.NOT_ME, token))))


@pages.post("/not-me/<token>")
def refuse(token: str) -> Response:
    """Forget the sign-up, and never write to the address again."""
    confirmation_id = int(services().tokens.read(Purpose.NOT_ME, token))
    _look(confirmation_id)
    with transaction() as session:
        view = confirmation.refuse(session, confirmation_id, g.now)
    arrival.note_confirmation(confirmation_id)
    return _not_me(view)


def _not_me(view: ConfirmationView) -> Response:
    """Whoever has confirmed is shown what they get, and the way to end it."""
    if view.state in (ConfirmationState.CONFIRMED, ConfirmationState.REFUSED):
        return _page(view)
    return render("not_me.html", state="ask", masked=view.masked)
