"""Leaving: by one click of the mail program, or on the page behind the visible link.

The two links carry different tokens. The header's, which any server on the mail's way may press, only ends one list;
the page's can also pause, move and undo. Neither opens the preferences (reliability 1b#6).
"""

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from flask import Response, current_app, g, request
from sqlalchemy.orm import Session

from newsletter.audience import cadences, leaving, preferences, subscribers
from newsletter.audience.leaving import Left
from newsletter.audience.models import Cadence, ChangeKind
from newsletter.audience.preferences import Preferences, Wish
from newsletter.foundation.db import db, transaction
from newsletter.foundation.errors import InvalidError, NotFoundError
from newsletter.foundation.languages import N_
from newsletter.foundation.links import Link
from newsletter.foundation.services import services
from newsletter.web import arrival, undo, wording
from newsletter.web.frame import client, pages, plain, publication, render, say, speak
from newsletter.web.offer import cadence_names, categories_of, category_names
from newsletter.web.typed import CHOOSE_OFFERED

_WEEKS: Final = {"1": 1, "2": 2, "4": 4}
_NO_MORE: Final = N_("No more of these mails go to you.")


@dataclass(frozen=True)
class Place:
    """What a link in a mail names: the reader, the list, the mail. Nothing on these pages comes from anywhere else."""

    subscriber_id: int
    cadence_id: int
    """0: the mail belongs to no list."""
    delivery_id: int

    @classmethod
    def read(cls, link: Link, token: str) -> "Place":
        """Raises TokenError."""
        return cls(*services().links.read(link, token))

    @property
    def cadence(self) -> Cadence | None:
        """The list, None when there is none."""
        return db.session().get(Cadence, self.cadence_id)

    @property
    def action(self) -> str:
        """The address of the page with all the buttons."""
        token = services().links.token(Link.LEAVE, self.subscriber_id, self.cadence_id, self.delivery_id)
        return current_app.url_for("web.leave", token=token)

    def look(self) -> Preferences:
        """Return what the reader gets. Raises NotFoundError for one who was erased."""
        found = preferences.look(db.session(), self.subscriber_id)
        speak(found.language)
        return found

    def on_list(self, choices: dict[int, int]) -> dict[int, int]:
        """Return those of a reader's choices that this list brings."""
        if self.cadence is None:
            return choices
        return {category: cadence for category, cadence in choices.items() if cadence == self.cadence_id}


@pages.get("/u/<token>", endpoint="one_click")
def look_at_header_link(token: str) -> Response:
    """Show the page to a person who opened the header's link. Nothing changes, however often programs do so (L5)."""
    return _ask(Place.read(Link.ONE_CLICK, token))


@pages.post("/u/<token>")
def click_once(token: str) -> Response:
    """End the list at once (RFC 8058 section 3.1).

    The body is never looked at: whatever its encoding, size or content, the request says the same. Always 200, never a
    redirect or a cookie; for somebody who left before, or was erased, as well (standards L4).
    """
    place = Place.read(Link.ONE_CLICK, token)
    try:
        place.look()
    except NotFoundError:
        answer = Response(say(_NO_MORE) + "\n", mimetype="text/plain")
    else:
        answer = _leave(place, "one-click")
    arrival.note(place.delivery_id)
    return answer


@pages.get("/leave/<token>", endpoint="leave")
def ask(token: str) -> Response:
    """Ask once, and offer what may be better."""
    return _ask(Place.read(Link.LEAVE, token))


@pages.post("/leave/<token>")
def do(token: str) -> Response:
    """Do what the pressed button says."""
    place = Place.read(Link.LEAVE, token)
    place.look()
    chosen = _ACTS.get(request.form.get("act", ""))
    if chosen is None:
        raise InvalidError(CHOOSE_OFFERED)
    answer = chosen(place)
    arrival.note(place.delivery_id)
    return answer


def _ask(place: Place) -> Response:
    reader = place.look()
    held = place.on_list(dict(reader.choices))
    if not held:
        # Left before, by one click perhaps: this is where somebody who pressed it by mistake looks for the way back.
        session = db.session()
        change_id = leaving.latest(session, place.subscriber_id, ChangeKind.LEFT, place.cadence_id)
        change_id = change_id or leaving.latest(session, place.subscriber_id, ChangeKind.LEFT_ALL, None)
        return _show(place, "left", reader.masked, change_id, others=_words(dict(reader.choices)))
    others = {category: cadence for category, cadence in reader.choices.items() if category not in held}
    slower = _slower(place.cadence)
    return _show(
        place,
        "ask",
        reader.masked,
        categories=[(one.slug, one.name) for one in categories_of(held)],
        slower=(slower.slug, wording.pace(slower)) if slower else None,
        others=_words(others),
    )


def _leave(place: Place, form: str = "leave") -> Response:
    with transaction() as session:
        left = _end(session, place, form)
    return _show(place, "left", left.masked, left.change_id, others=_words(left.remaining))


def _end(session: Session, place: Place, form: str) -> Left:
    if place.cadence is None:
        return leaving.leave_all(session, place.subscriber_id, g.now, client(form))
    return leaving.leave_cadence(session, place.subscriber_id, place.cadence_id, g.now, client(form))


def _leave_all(place: Place) -> Response:
    with transaction() as session:
        left = leaving.leave_all(session, place.subscriber_id, g.now, client("leave"))
    return _show(place, "left_all", left.masked, left.change_id)


def _pause(place: Place) -> Response:
    weeks = _WEEKS.get(request.form.get("weeks", ""))
    if weeks is None:
        raise InvalidError(CHOOSE_OFFERED)
    until = g.now + datetime.timedelta(weeks=weeks)
    with transaction() as session:
        change_id = preferences.pause(session, place.subscriber_id, g.now, until)
    reader = place.look()
    return _show(place, "paused", reader.masked, change_id, until=until, zone=reader.timezone)


def _move(place: Place) -> Response:
    slower = _slower(place.cadence)
    if slower is None or request.form.get("cadence") != slower.slug:
        raise InvalidError(CHOOSE_OFFERED)
    change_id = _choose(place, lambda choices: choices | dict.fromkeys(place.on_list(choices), slower.id))
    return _show(place, "moved", place.look().masked, change_id, slower=(slower.slug, wording.pace(slower)))


def _fewer(place: Place) -> Response:
    kept = {plain(slug) for slug in request.form.getlist("keep")}
    dropped = {one.id for one in categories_of(place.on_list(dict(place.look().choices))) if one.slug not in kept}
    if dropped == set(place.on_list(dict(place.look().choices))):
        return _leave(place)  # nothing is kept
    change_id = _choose(
        place, lambda choices: {category: pace for category, pace in choices.items() if category not in dropped}
    )
    return _show(place, "fewer", place.look().masked, change_id)


def _choose(place: Place, wanted: Callable[[dict[int, int]], dict[int, int]]) -> int | None:
    """Change what the reader gets to what `wanted` makes of it, and return the change's id."""
    with transaction() as session:
        subscribers.lock(session, place.subscriber_id)  # so that what is read here is still so when it is changed
        held = dict(preferences.look(session, place.subscriber_id).choices)
        wish = Wish(choices=wanted(held))
        return preferences.change(session, place.subscriber_id, wish, g.now, client("leave"))


def _undo(place: Place) -> Response:
    undo.take_back(place.subscriber_id, "leave")
    return _show(place, "undone", place.look().masked)


_ACTS: Final[dict[str, Callable[[Place], Response]]] = {
    "leave": _leave,
    "leave_all": _leave_all,
    "pause": _pause,
    "move": _move,
    "fewer": _fewer,
    "undo": _undo,
}


def _slower(cadence: Cadence | None) -> Cadence | None:
    """Return the pace that comes less often, but not by more than it must."""
    if cadence is None:
        return None
    fewer = [one for one in cadences.listed(db.session()) if len(one.weekdays) < len(cadence.weekdays)]
    return max(fewer, key=lambda one: len(one.weekdays), default=None)


def _words(choices: dict[int, int]) -> str:
    return wording.choices(choices, cadence_names(), category_names())


def _show(place: Place, state: str, masked: str, change_id: int | None = None, **facts: Any) -> Response:
    cadence = place.cadence
    return render(
        "unsubscribe.html",
        state=state,
        masked=masked,
        cadence=wording.pace(cadence) if cadence else publication().name,
        action=place.action,
        undo_token=undo.token(place.subscriber_id, change_id),
        **facts,
    )
