"""What every operators' page has: its guard, its words, its errors, and the way to the next page."""

from typing import Any, Final

from flask import Blueprint, Response, abort, current_app, flash, g, redirect, render_template, request
from flask import session as browser
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from newsletter.admin import security, words
from newsletter.delivery import reports
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.errors import (
    ConflictError,
    FetchError,
    InvalidError,
    NewsletterError,
    NotFoundError,
    ParseError,
    RenderError,
)
from newsletter.operators import sessions
from newsletter.operators.models import Operator
from newsletter.publication import identity

pages: Final = Blueprint("admin", __name__, url_prefix="/admin")
SIGNED_IN: Final = "signed_in"
"""Where the browser's signed cookie keeps what proves that somebody signed in."""
OPEN: Final = frozenset({"admin.sign_in", "admin.start_session"})
"""The pages that need no sign-in."""
_STATUS: Final = {
    NotFoundError: 404,
    ConflictError: 409,
    InvalidError: 422,
    FetchError: 422,
    ParseError: 422,
    RenderError: 422,
}


@pages.before_request
def _guard() -> Response | None:
    """Let operators in; send everybody else to the sign-in page."""
    security.refuse_foreign_requests()
    if any("\0" in value for value in request.values.values()):  # no text of ours holds it, and PostgreSQL stores none
        abort(400)
    try:
        publication()
    except NotFoundError as error:  # nothing can be shown in a frame that has no name yet
        return Response(f"{error}\n", 503, mimetype="text/plain")
    token = browser.get(SIGNED_IN, "")
    g.now = utc_now()
    signed_in = sessions.find(db.session(), token, g.now) if token else None
    g.operator = signed_in.operator if signed_in else None
    if signed_in and sessions.unseen(signed_in, g.now):
        with transaction():
            signed_in.seen_at = g.now
    if g.operator or request.endpoint in OPEN:
        return None
    return go("sign_in", next=request.path if request.method == "GET" else None)


pages.after_request(security.add_headers)


@pages.context_processor
def _frame() -> dict[str, Any]:
    """Give templates what admin/base.html asks for. Operators' pages speak English, in the publication's time zone."""
    return {
        "publication": publication(),
        "language": "en",
        "direction": "ltr",
        "zone": publication().timezone,
        "now": g.get("now") or utc_now(),
        "operator": g.get("operator") and {"name": g.operator.login},
        "waiting": {"unknown": reports.count_open_unknown(db.session())} if g.get("operator") else {},
        "skipped": words.SKIPPED,
        "reasons": words.REASONS,
    }


def publication() -> identity.Identity:
    """Return whose service this is. Raises NotFoundError before `newsletter init` has made it."""
    if "publication" not in g:
        g.publication = identity.load(db.session())
    assert isinstance(g.publication, identity.Identity)
    return g.publication


@pages.errorhandler(NewsletterError)
def _refused(error: NewsletterError) -> tuple[str, int]:
    """Say the domain's own sentence, with the status that programs understand."""
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 400)
    return _explain(status, str(error))


@pages.errorhandler(CSRFError)
def _stale(_error: CSRFError) -> tuple[str, int]:
    """Explain a missing or foreign CSRF token."""
    return _explain(400, "The page was open for too long, or from before you signed in. Load it anew and try again.")


@pages.errorhandler(HTTPException)
def _broken(error: HTTPException) -> tuple[str, int] | HTTPException:
    """Explain what Flask itself refuses, in the look of the other pages."""
    return _explain(error.code) if error.code and error.code >= 400 else error


def _explain(status: int, message: str = "") -> tuple[str, int]:
    return render_template("admin/message.html", status=status, message=message, section=""), status


def operator() -> Operator:
    """Return who is signed in."""
    assert isinstance(g.operator, Operator)
    return g.operator


def go(page: str, **values: Any) -> Response:
    """Send the browser on to an operators' page after an act (303: with GET)."""
    target = current_app.url_for(f"admin.{page}", **{name: value for name, value in values.items() if value})
    return redirect(target, 303, Response)  # type: ignore[return-value]  # werkzeug's type says its base class


def say(message: str, tone: str = "success") -> None:
    """Show `message` on top of the next page."""
    flash(message, tone)
