"""What a reader gets, and when: the page behind the link in every mail. The link says whose it is, never a field."""

import datetime
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from flask import Response, g, request

from newsletter.audience import consent, leaving, preferences, subscribers
from newsletter.audience.preferences import Preferences, Wish
from newsletter.foundation.db import db, transaction
from newsletter.foundation.errors import InvalidError
from newsletter.foundation.languages import LANGUAGES, N_
from newsletter.foundation.links import Link
from newsletter.foundation.services import services
from newsletter.web import arrival, undo, wording
from newsletter.web.frame import client, pages, plain, render, say, speak
from newsletter.web.offer import Offer, now_offered
from newsletter.web.typed import (
    CHOOSE_LANGUAGE,
    CHOOSE_OFFERED,
    CHOOSE_ZONE,
    LONGEST_NAME,
    NAME_TOO_LONG,
    ids,
)

_FORM: Final = "preferences"
_WEEKS: Final = {"1": 1, "2": 2, "4": 4, "0": None}
_SAVED: Final = N_("Your choices are saved.")
_PAUSED: Final = N_("Your mails are paused.")
_RESUMED: Final = N_("Your mails go on.")
_AGREED: Final = N_("Your agreement is on record.")
_WITHDRAWN: Final = N_("You have taken your agreement back.")
_LEFT: Final = N_("You have left all our mails. None comes any more.")
_UNDONE: Final = N_("All is as it was.")


@dataclass(frozen=True)
class Filled:
    """The form as held, or as sent and not acceptable."""

    name: str
    language: str
    timezone: str
    cadences: dict[str, str]
    """Category's slug to the chosen cadence's, empty for none."""
    errors: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Done:
    """What an act has to say."""

    saved: str
    change_id: int | None = None


@pages.get("/preferences/<token>", endpoint="preferences")
def show(token: str) -> Response:
    """Show what the reader gets."""
    reader = _look(_read(token)[0])
    return _page(reader, _offer(reader))


@pages.post("/preferences/<token>")
def change(token: str) -> Response:
    """Do what the pressed button says, and show what is held then."""
    subscriber_id, delivery_id = _read(token)
    reader = _look(subscriber_id)
    chosen = request.form.get("act", "")
    if chosen != "save" and chosen not in _ACTS:
        raise InvalidError(CHOOSE_OFFERED)
    answer = _save(reader) if chosen == "save" else _after(subscriber_id, _ACTS[chosen](reader))
    arrival.note(delivery_id)
    return answer


def _read(token: str) -> tuple[int, int]:
    """Return the reader's id and that of the mail that led here."""
    subscriber_id, _, delivery_id = services().links.read(Link.PREFERENCES, token)
    return subscriber_id, delivery_id


def _look(subscriber_id: int) -> Preferences:
    reader = preferences.look(db.session(), subscriber_id)
    speak(reader.language)
    return reader


def _offer(reader: Preferences) -> Offer:
    slugs = [purpose.removeprefix(consent.purpose_of("")) for purpose in reader.consents]
    return now_offered([slug for slug in slugs if slug != consent.NEWSLETTER], list(reader.choices))


def _after(subscriber_id: int, done: Done) -> Response:
    reader = _look(subscriber_id)
    return _page(reader, _offer(reader), done=done)


def _save(reader: Preferences) -> Response:
    offer = _offer(reader)
    filled = _filled(reader, offer)
    if filled.errors:
        return _page(reader, offer, filled)
    paces = {one.slug: one.id for one in offer.cadences}
    held = _held(reader, offer).cadences
    with transaction() as session:
        subscribers.lock(session, reader.subscriber_id)  # so that what was not changed here stays as it is now
        choices = dict(preferences.look(session, reader.subscriber_id).choices)
        for topic in offer.categories:
            wanted = filled.cadences[topic.slug]
            if wanted != held[topic.slug]:
                choices.pop(topic.id, None)
                choices |= {topic.id: paces[wanted]} if wanted else {}
        wish = Wish(choices, filled.timezone, filled.language, filled.name)
        change_id = preferences.change(session, reader.subscriber_id, wish, g.now, client(_FORM))
    return _after(reader.subscriber_id, Done(_SAVED, change_id))


def _filled(reader: Preferences, offer: Offer) -> Filled:
    """Return what was sent, judged; fields that were not sent are as held."""
    sent, held = request.form, _held(reader, offer)
    filled = Filled(
        name=plain(sent.get("name", held.name)[:1000]),
        language=sent.get("language", held.language),
        timezone=sent.get("timezone", held.timezone),
        cadences={slug: sent.get(f"category-{slug}", pace) for slug, pace in held.cadences.items()},
    )
    allowed = {"", *(one.slug for one in offer.cadences)}
    for slug, pace in filled.cadences.items():
        if pace not in allowed and pace != held.cadences[slug]:
            filled.errors[f"category-{slug}"] = say(CHOOSE_OFFERED)
    if len(filled.name) > LONGEST_NAME:
        filled.errors["name"] = say(NAME_TOO_LONG)
    if filled.language not in LANGUAGES:
        filled.errors["language"] = say(CHOOSE_LANGUAGE)
    if filled.timezone not in zoneinfo.available_timezones():
        filled.errors["timezone"] = say(CHOOSE_ZONE)
    return filled


def _held(reader: Preferences, offer: Offer) -> Filled:
    paces = {one.id: one.slug for one in offer.cadences}
    return Filled(
        name=reader.name,
        language=reader.language,
        timezone=reader.timezone,
        cadences={one.slug: paces.get(reader.choices.get(one.id, 0), "") for one in offer.categories},
    )


def _pause(reader: Preferences) -> Done:
    sent = request.form.get("weeks", "")
    if sent not in _WEEKS:
        raise InvalidError(CHOOSE_OFFERED)
    weeks = _WEEKS[sent]
    until = None if weeks is None else g.now + datetime.timedelta(weeks=weeks)
    with transaction() as session:
        return Done(_PAUSED, preferences.pause(session, reader.subscriber_id, g.now, until))


def _resume(reader: Preferences) -> Done:
    with transaction() as session:
        preferences.resume(session, reader.subscriber_id, g.now)
    return Done(_RESUMED)


def _agree(reader: Preferences) -> Done:
    """Record an agreement to words that stand on the page today; to any others nobody can agree."""
    wanted = ids(request.form.getlist("text"))
    words = next((words for words in now_offered().words[1:] if words.id in wanted), None)
    if words is None:
        raise InvalidError(CHOOSE_OFFERED)
    with transaction() as session:
        preferences.agree(session, reader.subscriber_id, words, g.now, client(_FORM))
    return Done(_AGREED)


def _withdraw(reader: Preferences) -> Done:
    affiliate = plain(request.form.get("affiliate", ""))
    with transaction() as session:
        preferences.withdraw(session, reader.subscriber_id, affiliate, g.now, client(_FORM))
    return Done(_WITHDRAWN)


def _leave_all(reader: Preferences) -> Done:
    with transaction() as session:
        left = leaving.leave_all(session, reader.subscriber_id, g.now, client(_FORM))
    return Done(_LEFT, left.change_id)


def _undo(reader: Preferences) -> Done:
    undo.take_back(reader.subscriber_id, _FORM)
    return Done(_UNDONE)


_ACTS: Final[dict[str, Callable[[Preferences], Done]]] = {
    "pause": _pause,
    "resume": _resume,
    "agree": _agree,
    "withdraw": _withdraw,
    "leave_all": _leave_all,
    "undo": _undo,
}


def _page(reader: Preferences, offer: Offer, filled: Filled | None = None, done: Done | None = None) -> Response:
    form = filled or _held(reader, offer)
    return render(
        "preferences.html",
        422 if form.errors else 200,
        zone=reader.timezone,
        masked=reader.masked,
        categories=[(one.slug, one.name, one.description, form.cadences[one.slug]) for one in offer.categories],
        cadences=[(one.slug, wording.pace(one), wording.hour(one)) for one in offer.cadences],
        form=form,
        timezones=wording.timezones(reader.timezone),
        paused=reader.paused,
        until=reader.paused_until,
        affiliates=[
            (one.slug, one.name, words.text, words.id, reader.consents.get(consent.purpose_of(one.slug)))
            for one, words in offer.partners()
        ],
        saved=say(done.saved) if done else "",
        undo_token=undo.token(reader.subscriber_id, done.change_id) if done else "",
        errors=form.errors,
    )
