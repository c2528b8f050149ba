"""Signing in and out, and an operator's own password and browsers."""

import re

from flask import Response, g, render_template, request
from flask import session as browser

from newsletter.admin.frame import SIGNED_IN, go, operator, pages, say
from newsletter.foundation.db import db, transaction
from newsletter.foundation.errors import InvalidError
from newsletter.foundation.services import services
from newsletter.operators import accounts, sessions, signin

Page = str | Response | tuple[str, int] | tuple[str, int, dict[str, str]]


@pages.get("/sign-in")
def sign_in() -> Page:
    """Show the form, or the first page to who is signed in already."""
    return go("overview") if g.operator else _form()


@pages.post("/sign-in")
def start_session() -> Page:
    """Compare login and password; a new session with a new token either way out."""
    login, password = request.form.get("login", ""), request.form.get("password", "")
    try:
        with transaction() as session:
            tried = signin.admit(session, services().hasher, login, request.remote_addr or "", g.now)
        found = signin.check(db.session(), tried, password)
    except signin.TooManyTriesError as error:
        return _form({"login": str(error)}, 429, wait=int(error.wait.total_seconds()) + 1)
    except InvalidError as error:
        return _form({"login": str(error)}, 422)
    with transaction() as session:
        signin.passed(session, tried, found, password, g.now)
        if browser.get(SIGNED_IN):
            sessions.end(session, browser[SIGNED_IN])
        token = sessions.start(session, found, g.now, user_agent=request.user_agent.string)
    browser.clear()
    browser[SIGNED_IN] = token
    onward = request.form.get("next", "")
    # Only ever a page of ours: one path under /admin, no host and nothing that a browser may take for one.
    if re.fullmatch(r"/admin(/[\w\-]+)*", onward):
        response = go("overview")
        response.location = onward
        return response
    return go("overview")


def _form(errors: dict[str, str] | None = None, status: int = 200, wait: int = 0) -> Page:
    page = render_template(
        "admin/sign_in.html",
        section="",
        errors=errors or {},
        login=request.form.get("login", ""),
        next=request.values.get("next", ""),
    )
    return page, status, {"Retry-After": str(wait)} if wait else {}


@pages.post("/sign-out")
def sign_out() -> Response:
    """End this browser's session, on the server too."""
    with transaction() as session:
        sessions.end(session, browser.get(SIGNED_IN, ""))
    browser.clear()
    return go("sign_in")


@pages.get("/account")
def account() -> Page:
    """Show the operator's browsers, and the form for a new password."""
    return _account()


def _account(errors: dict[str, str] | None = None, status: int = 200) -> Page:
    page = render_template(
        "admin/account.html",
        section="",
        errors=errors or {},
        browsers=sessions.of(db.session(), operator(), g.now),
        here=sessions.find(db.session(), browser[SIGNED_IN], g.now),
    )
    return page, status


@pages.post("/account/password")
def change_password() -> Page:
    """Set a new password, after the old one, and end every other session."""
    old, new = request.form.get("old", ""), request.form.get("new", "")
    try:
        with transaction() as session:
            tried = signin.admit(session, services().hasher, operator().login, request.remote_addr or "", g.now)
        signin.check(db.session(), tried, old)
    except (signin.TooManyTriesError, InvalidError) as error:
        reason = "This is not your password." if isinstance(error, InvalidError) else str(error)
        return _account({"old": reason}, 422)
    try:
        with transaction() as session:
            signin.passed(session, tried, operator(), old, g.now)
            accounts.change_password(session, operator(), new, keep=browser[SIGNED_IN])
    except InvalidError as error:
        return _account({"new": str(error)}, 422)
    say("Your password is changed. Every other browser is signed out.")
    return go("account")


@pages.post("/account/sign-out-everywhere")
def sign_out_everywhere() -> Response:
    """End all sessions of this operator, this one as well."""
    with transaction() as session:
        sessions.end_all(session, operator())
    browser.clear()
    return go("sign_in")
