"""The web inbox: lists what was caught and shows a message as HTML, text or source. Reads only; has no script."""

import re
from pathlib import Path
from typing import Final

from flask import Flask, Response, render_template, request
from werkzeug.exceptions import NotFound

from newsletter.catcher import reading
from newsletter.catcher.mailbox import Caught, Mailbox
from newsletter.foundation import pages
from newsletter.foundation.clock import utc_now

PAGE: Final = 50
OWN_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src data:; frame-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
# A mail may show pictures and its own styles, and open its links in a new tab; it may run, send and frame nothing.
MAIL_POLICY: Final = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src http: https: data:; "
    "style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
VIEWS: Final = ("html", "text", "source")


def create_inbox(folder: Path) -> Flask:
    """Return the inbox of the mailbox in `folder`."""
    app = Flask(__name__)
    # A site elsewhere that points its own name at this machine must not read the mails, which hold people's links.
    app.config["TRUSTED_HOSTS"] = ["localhost", "127.0.0.1", "[::1]"]
    pages.install(app.jinja_env)
    app.jinja_env.filters["subject"] = lambda caught: reading.subject(caught.path)
    app.context_processor(lambda: {"language": "en", "zone": "UTC", "now": utc_now()})

    @app.get("/")
    def index() -> str:
        search = request.args.get("to", "").strip()
        before = request.args.get("before", type=int)
        with Mailbox(folder) as mailbox:
            found = mailbox.page(search, before, PAGE + 1)
            count = mailbox.count(search)
        return render_template(
            "catcher/index.html",
            messages=found[:PAGE],
            older=found[PAGE - 1].number if len(found) > PAGE else None,
            first=before is None,
            search=search,
            count=count,
        )

    @app.get("/<int:number>")
    def message(number: int) -> str:
        caught, raw = _load(folder, number)
        read = reading.read(raw)
        views = [view for view in VIEWS if view == "source" or getattr(read, view) is not None]
        view = request.args.get("view", views[0])
        source = raw.decode("utf-8", "replace") if view == "source" else None
        return render_template(
            "catcher/message.html", caught=caught, message=read, views=views, view=view, source=source
        )

    @app.get("/<int:number>/html")
    def html(number: int) -> Response:
        body = reading.read(_load(folder, number)[1]).html
        if body is None:
            raise NotFound
        response = Response(_links_in_new_tabs(body), content_type="text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = MAIL_POLICY
        return response

    @app.get("/<int:number>.eml")
    def eml(number: int) -> Response:
        response = Response(_load(folder, number)[1], content_type="message/rfc822")
        response.headers["Content-Disposition"] = f"attachment; filename={number}.eml"
        return response

    @app.after_request
    def guard(response: Response) -> Response:
        response.headers.setdefault("Content-Security-Policy", OWN_POLICY)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    return app


def _load(folder: Path, number: int) -> tuple[Caught, bytes]:
    with Mailbox(folder) as mailbox:
        caught = mailbox.get(number)
    if caught is None:
        raise NotFound
    try:
        return caught, caught.path.read_bytes()
    except FileNotFoundError:  # it has just made room for a newer one
        raise NotFound from None


def _links_in_new_tabs(html: str) -> str:
    """Let links leave the frame, in which most sites refuse to be shown."""
    base = '<base target="_blank">'
    changed, count = re.subn(r"<head(\s[^>]*)?>", lambda match: match[0] + base, html, count=1, flags=re.IGNORECASE)
    return changed if count else base + html
