"""What every readers' page has: whose it is, in which language, and what is said when it cannot be shown.

No page here knows a cookie or a session. An unsafe request is believed for the signed token in its address, or for what
it asks for being harmless (a sign-up), never for who sends it; so there is nothing that another site could ride on, and
the blueprint is exempt from the operators' CSRF protection (see app.py).
"""

from typing import Any, Final

from flask import Blueprint, Response, g, render_template, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException, SecurityError

from newsletter.audience import consent
from newsletter.foundation import languages
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db
from newsletter.foundation.errors import (
    ConflictError,
    InvalidError,
    NewsletterError,
    NotFoundError,
    TokenError,
    TokenExpiredError,
)
from newsletter.foundation.services import services
from newsletter.publication import identity

pages: Final = Blueprint("web", __name__)
_STATUS: Final = (
    (TokenExpiredError, 410),
    (TokenError, 404),
    (NotFoundError, 410),
    (ConflictError, 409),
    (InvalidError, 422),
)


@pages.before_request
def _begin() -> None:
    """Read the clock once, and refuse to show pages that have no name yet."""
    g.now = utc_now()
    publication()


def publication() -> identity.Identity:
    """Return whose pages these are. Answers 503 before `newsletter init` has made it."""
    if "publication" not in g:
        try:
            g.publication = identity.load(db.session())
        except NotFoundError as error:
            raise _NotReadyError(str(error)) from None
    assert isinstance(g.publication, identity.Identity)
    return g.publication


class _NotReadyError(HTTPException):
    """Nothing can be shown in a frame that has no name."""

    code = 503


def language() -> str:
    """Return the language of the page: asked for in the address, else the reader's, else the browser's, else ours."""
    asked = languages.negotiate([request.args.get("language", "")], "")
    browser = (tag for tag, _ in request.accept_languages)
    return asked or g.get("language") or languages.negotiate(browser, publication().language)


def speak(code: str) -> None:
    """Prefer `code`, a language of ours, to the browser's: the reader has said that it is theirs."""
    if code in languages.LANGUAGES:
        g.language = code


def say(message: str, **values: object) -> str:
    """Return a sentence, marked N_ where it was written, in the page's language."""
    text = languages.catalogue(language()).gettext(message)
    return text % values if values else text


def client(form: str, page: str = "") -> consent.Client:
    """Return where this request came from, as far as the settings let it be kept."""
    return consent.client(
        form,
        plain(page),
        request.remote_addr or "",
        plain(request.user_agent.string),
        keep=services().settings.consent_records_client,
    )


def plain(text: str) -> str:
    """Return `text` on one line, without control characters: PostgreSQL stores no NUL, and nobody needs the rest."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def render(template: str, status: int = 200, zone: str = "", **context: Any) -> Response:
    """Return a page with what web/base.html asks for; `zone` is the reader's where it is known."""
    code = language()
    frame = {
        "status": status,
        "publication": publication(),
        "language": code,
        "direction": languages.direction(code),
        "zone": zone or publication().timezone,
        "now": g.get("now") or utc_now(),
        "languages": languages.LANGUAGES,
    }
    return Response(render_template(f"web/{template}", **(frame | context)), status)


@pages.errorhandler(NewsletterError)
def _refused(error: NewsletterError) -> Response:
    """Say the domain's own sentence; of a link that is not ours, only that there is nothing (standards L6)."""
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 400)
    return _explain(status, "" if status == 404 else say(str(error)))


def broken(error: HTTPException) -> Response | HTTPException:
    """Explain what Flask refuses, or that something failed, also where no page of ours was asked for."""
    if not error.code or error.code < 400:
        return error
    answer = _explain(error.code)
    allowed = getattr(error, "valid_methods", None)
    if allowed:
        answer.headers["Allow"] = ", ".join(sorted(allowed))
    return answer


def _explain(status: int, message: str = "") -> Response:
    """Return the page of an error, or one bare line where there is neither publication nor database to frame it."""
    if not isinstance(request.routing_exception, SecurityError):  # a foreign Host: no address can be made for it
        try:
            if status >= 500:
                db.session.rollback()
            return render("message.html", status, message=message)
        except (SQLAlchemyError, _NotReadyError):
            pass
    return Response(f"Error {status}\n", status, mimetype="text/plain")
