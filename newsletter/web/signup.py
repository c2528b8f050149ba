"""Signing up: our form, the same form on other sites, and the page that answers both.

The answer is the same whoever's address it is: the request stores one row, and a worker decides (standards D3).
"""

import datetime
from typing import Any, Final

from flask import Response, abort, current_app, g, request

from newsletter.audience import confirmation, signup, typos
from newsletter.audience.signup import Signup
from newsletter.foundation import languages
from newsletter.foundation.db import transaction
from newsletter.foundation.errors import TokenError
from newsletter.foundation.languages import LANGUAGES, N_
from newsletter.foundation.services import services
from newsletter.foundation.tokens import Purpose
from newsletter.tasks import ringing
from newsletter.web import pace, typed, wording
from newsletter.web.frame import language, pages, render, say, speak
from newsletter.web.offer import Offer, now_offered
from newsletter.web.typed import EMBED, Typed

LEAST_AGE: Final = 2
"""Seconds that a person needs for the form at least (standards D8)."""
MAIN: Final = "main"
"""Where the error summary's link leads for a problem of no single field: the id of the page's main part."""

_AGAIN: Final = N_(
    "We were not sure that this came from our form. Please press the button again: what you typed is kept."
)
_TOO_MANY: Final = N_("Very many sign-ups come from your network just now. Please try again in ten minutes.")


@pages.get("/subscribe", endpoint="signup")
def form() -> Response:
    """Show the form, with what leaves no choice chosen already. Consent is never ticked by us."""
    offer = _offer()
    only_category = [one.slug for one in offer.categories] if len(offer.categories) == 1 else []
    only_cadence = offer.cadences[0].slug if len(offer.cadences) == 1 else ""
    answer = _show(offer, Typed(categories=only_category, cadence=only_cadence, language=language()))
    answer.headers["X-Robots-Tag"] = "all"  # the one page that search engines are welcome to
    return answer


@pages.post("/subscribe")
def sign_up() -> Response:
    """Store the sign-up, or show the form again with a sentence for each thing that is missing."""
    if request.form.get("website"):
        return _received()  # a field that people do not see: whoever fills it is told nothing
    speak(request.form.get("language", ""))
    offer = _offer()
    filled = typed.read(offer)
    wish, errors = typed.judge(filled, offer)
    if wish is None:
        return _show(offer, filled, errors)
    suggestion = typos.suggest(wish.address) or ""
    if suggestion and request.form.get("suggested_for", "").strip() != filled.address:
        return _show(offer, filled, suggestion=suggestion)
    if filled.form != EMBED and not _filled_in_by_hand(request.form.get("form_token", "")):
        return _show(offer, filled, {MAIN: say(_AGAIN)})
    return _store(offer, filled, wish)


def _store(offer: Offer, filled: Typed, wish: Signup) -> Response:
    if not pace.admits(g.now):
        answer = _show(offer, filled, {MAIN: say(_TOO_MANY)})
        answer.status_code = 429
        answer.headers["Retry-After"] = str(int(pace.WINDOW.total_seconds()))
        return answer
    with transaction() as session:
        signup.request_signup(session, wish, g.now)
    ringing.ring(ringing.CONFIRM)
    return _received()


@pages.get("/subscribe/received")
def received() -> Response:
    """Say what happens next, without a word about whose address it was."""
    return render("received.html", lifetime=languages.span(confirmation.LIFETIME, language()))


@pages.get("/subscribe/embed")
def embed() -> Response:
    """Show the form that works on any page, and its HTML."""
    offer = _offer()
    return render("embed.html", action=services().links.page("subscribe"), **_choices(offer))


def _offer() -> Offer:
    """Return what can be chosen. Answers 503 while there is nothing to choose yet."""
    offer = now_offered()
    if not offer.categories or not offer.cadences:
        abort(503)
    return offer


def _choices(offer: Offer) -> dict[str, Any]:
    return {
        "categories": [(one.slug, one.name, one.description) for one in offer.categories],
        "cadences": [(one.slug, wording.pace(one), wording.hour(one)) for one in offer.cadences],
        "privacy": offer.privacy,
        "affiliates": [(words.id, one.name, words.text) for one, words in offer.partners()],
    }


def _show(offer: Offer, filled: Typed, errors: dict[str, str] | None = None, suggestion: str = "") -> Response:
    return render(
        "signup.html",
        422 if errors or suggestion else 200,
        form=filled,
        errors=errors or {},
        suggestion=suggestion,
        form_token=services().tokens.make(Purpose.SIGNUP_FORM, int(g.now.timestamp())),
        timezones=wording.timezones(),
        languages=LANGUAGES,
        **_choices(offer),
    )


def _filled_in_by_hand(form_token: str) -> bool:
    """Say whether our form was shown long enough ago, and not longer than a day."""
    try:
        shown = datetime.datetime.fromtimestamp(services().tokens.read(Purpose.SIGNUP_FORM, form_token), datetime.UTC)
    except TokenError:
        return False
    return bool(g.now - shown >= datetime.timedelta(seconds=LEAST_AGE))


def _received() -> Response:
    """Send the browser on, so that reloading does not sign up again; keep the language that the form was in."""
    spoken = language()
    by_itself = languages.negotiate((tag for tag, _ in request.accept_languages), "")
    target = current_app.url_for("web.received", language=None if spoken == by_itself else spoken)
    return Response(status=303, headers={"Location": target})
