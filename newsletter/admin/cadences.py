"""A cadence's settings: its hour, its subject, its limits, its copies."""

import datetime
from typing import Any, Final

from flask import Response, g, render_template, request
from werkzeug.datastructures import MultiDict

from newsletter.admin import words
from newsletter.admin.frame import go, pages, say
from newsletter.audience import cadences
from newsletter.audience.cadences import Pace
from newsletter.audience.models import Cadence
from newsletter.foundation.db import db, transaction
from newsletter.foundation.errors import InvalidError
from newsletter.foundation.names import slug_of

_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_UTM: Final = ("utm_source", "utm_medium", "utm_campaign")


@pages.post("/digests")
def add_digest() -> Response:
    """Add a cadence with the usual settings; the next page changes them."""
    name = request.form.get("name", "").strip()
    with transaction() as session:
        cadence = cadences.add(session, slug_of(name), Pace(name, position=len(cadences.listed(session))))
    say(f"Readers are offered “{cadence.name}” now, {words.pace(cadence)}. Change that here.")
    return go("digest_settings", cadence_id=cadence.id)


@pages.get("/digests/<int:cadence_id>/settings")
def digest_settings(cadence_id: int) -> str:
    """Show the form of a cadence."""
    cadence = cadences.get(db.session(), cadence_id)
    typed = {
        "name": cadence.name,
        "weekdays": list(cadence.weekdays),
        "time": f"{cadence.hour:02}:{cadence.minute:02}",
        "subject_rule": "text" if cadence.subject_text else "lead",
        "subject_text": cadence.subject_text,
        "max_per_category": cadence.max_per_category,
        "max_lateness_minutes": cadence.max_lateness_minutes,
        "alarm_minutes": cadence.alarm_minutes,
        "copies": "\n".join(cadence.copies),
        **{name: cadence.utm.get(name, "") for name in _UTM},
    }
    return _page(cadence, typed, [])


@pages.post("/digests/<int:cadence_id>/settings")
def change_digest(cadence_id: int) -> Response | tuple[str, int]:
    """Change a cadence; what was typed is kept where something is wrong with it."""
    cadence = cadences.get(db.session(), cadence_id)
    try:
        pace = _pace(request.form, cadence.position)
        with transaction() as session:
            cadences.change(session, cadence_id, pace)
    except InvalidError as error:
        typed = request.form.to_dict() | {"weekdays": request.form.getlist("weekdays")}
        return _page(cadence, typed, str(error).splitlines()), 422
    say("Saved.")
    return go("digest_settings", cadence_id=cadence_id)


@pages.post("/digests/<int:cadence_id>/archive")
def archive_digest(cadence_id: int) -> Response:
    """Offer a cadence no more."""
    with transaction() as session:
        cadences.archive(session, cadence_id, g.now)
    say("Readers are not offered it any more.")
    return go("digests")


def _pace(form: MultiDict[str, str], position: int) -> Pace:
    """Read the form. Raises InvalidError."""
    subject = form.get("subject_text", "").strip()
    if form.get("subject_rule") != "text":
        subject = ""
    elif not subject:
        raise InvalidError("Write the subject, or let the lead's headline be it.")
    try:
        time = datetime.time.fromisoformat(form.get("time", ""))
    except ValueError:
        raise InvalidError("The time looks like 07:00.") from None
    return Pace(
        name=form.get("name", ""),
        weekdays="".join(form.getlist("weekdays")),
        hour=time.hour,
        minute=time.minute,
        position=position,
        max_per_category=_whole(form, "max_per_category", "The number of articles"),
        subject_text=subject,
        utm={name: form.get(name, "") for name in _UTM},
        copies=form.get("copies", "").split(),
        max_lateness_minutes=_whole(form, "max_lateness_minutes", "The greatest lateness"),
        alarm_minutes=_whole(form, "alarm_minutes", "The time until the alarm"),
    )


def _whole(form: MultiDict[str, str], name: str, what: str) -> int:
    try:
        return int(form.get(name, ""))
    except ValueError:
        raise InvalidError(f"{what} is written in digits.") from None


def _page(cadence: Cadence, typed: dict[str, Any], problems: list[str]) -> str:
    return render_template(
        "admin/digest_settings.html",
        section="digests",
        tab="settings",
        cadence=cadence,
        typed=typed,
        days=[(str(number), name) for number, name in enumerate(_DAYS, 1)],
        pace=words.pace,
        problems=problems,
    )
