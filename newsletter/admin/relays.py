"""Relays: where our mail goes, how each of them does, and what it is given to carry."""

import re

from flask import Response, g, render_template, request

from newsletter.admin.frame import go, pages, publication, say
from newsletter.delivery import host_limits, relay_views, relays, slowdowns, watching
from newsletter.delivery.models import Tls
from newsletter.delivery.relay_terms import Terms, streams
from newsletter.delivery.relay_trial import try_relay
from newsletter.foundation.db import db, transaction
from newsletter.foundation.services import services

_NO_NUMBER = -1
"""Stands for what is no whole number: every rule refuses it with its own sentence."""


@pages.get("/relays", endpoint="relays")
def list_relays() -> str:
    """List the relays and how they are doing, and the form for one more."""
    return list_page({}, {})


@pages.post("/relays")
def add_relay() -> Response | tuple[str, int]:
    """Add a relay."""
    terms, password = _typed(), request.form.get("password", "")
    mistakes = relays.mistakes(db.session(), None, terms, password)
    if mistakes:
        return list_page(request.form.to_dict(), mistakes), 422
    with transaction() as session:
        relay = relays.add(session, terms, password, services().vault, g.now)
    say(f"{relay.name} is added, and takes mail from now on. Test it to be sure.")
    return go("relay", relay_id=str(relay.id))


@pages.get("/relays/<int:relay_id>")
def relay(relay_id: int) -> str:
    """Show one relay: its state, its last words, and what it may be given."""
    return _one(relay_id, {}, {})


@pages.post("/relays/<int:relay_id>")
def change_relay(relay_id: int) -> Response | tuple[str, int]:
    """Change it; an empty password keeps the one it has."""
    terms, password = _typed(), request.form.get("password", "")
    mistakes = relays.mistakes(db.session(), relays.get(db.session(), relay_id), terms, password)
    if mistakes:
        return _one(relay_id, request.form.to_dict(), mistakes), 422
    with transaction() as session:
        relays.edit(session, relay_id, terms, password, services().vault, g.now)
    say("Saved. It counts from the next mails on.")
    return go("relay", relay_id=str(relay_id))


@pages.post("/relays/<int:relay_id>/test")
def test_relay(relay_id: int) -> Response:
    """Connect, greet, encrypt and sign in, and say how far it came. No mail is sent."""
    with transaction() as session:  # ended before the relay is waited for
        endpoint = relays.endpoint(session, relay_id)
    trial = try_relay(endpoint)
    say(trial.sentence, "success" if trial.works else "warning")
    return go("relay", relay_id=str(relay_id))


@pages.post("/relays/<int:relay_id>/hold")
def hold_relay(relay_id: int) -> Response:
    """Hand it nothing until it is resumed."""
    with transaction() as session:
        watching.hold(session, relay_id, g.now)
    say("Held: it is handed nothing until you resume it.")
    return go("relay", relay_id=str(relay_id))


@pages.post("/relays/<int:relay_id>/resume")
def resume_relay(relay_id: int) -> Response:
    """Use it again at once."""
    with transaction() as session:
        watching.resume(session, relay_id, g.now)
    say("Resumed: it is tried again at once.")
    return go("relay", relay_id=str(relay_id))


@pages.post("/relays/<int:relay_id>/disable")
def disable_relay(relay_id: int) -> Response:
    """Use it no more."""
    with transaction() as session:
        relays.disable(session, relay_id, g.now)
    say("Disabled.")
    return go("relay", relay_id=str(relay_id))


@pages.post("/relays/<int:relay_id>/enable")
def enable_relay(relay_id: int) -> Response:
    """Use it again."""
    with transaction() as session:
        relays.enable(session, relay_id, g.now)
    say("Enabled: it takes mail again.")
    return go("relay", relay_id=str(relay_id))


@pages.post("/relays/<int:relay_id>/remove")
def remove_relay(relay_id: int) -> Response:
    """Forget a relay that never took a mail."""
    with transaction() as session:
        relays.remove(session, relay_id)
    say("The relay is removed.")
    return go("relays")


def list_page(typed: dict[str, str], errors: dict[str, str]) -> str:
    """Return the page with all relays and limits, and what was typed and is wrong in one of its forms."""
    session = db.session()
    return render_template(
        "admin/relays.html",
        section="relays",
        relays=relay_views.listed(session, g.now),
        uncovered=relay_views.uncovered(session),
        slowdowns=slowdowns.slowdowns(session, g.now),
        limits=host_limits.host_limits(session),
        **_form(typed, errors),
    )


def _one(relay_id: int, typed: dict[str, str], errors: dict[str, str]) -> str:
    return render_template(
        "admin/relay.html",
        section="relays",
        relay=relay_views.one(db.session(), relay_id, g.now),
        **_form(typed, errors),
    )


def _form(typed: dict[str, str], errors: dict[str, str]) -> dict[str, object]:
    """Return what the fields need: what was typed (nothing: what is held), and what there is to choose from."""
    ours = publication()
    return {
        "typed": typed,
        "errors": errors,
        "chosen": request.form.getlist("streams"),
        "streams": list(streams(db.session()).items()),
        "senders": [one for one in (ours.digest_from, ours.confirmation_from) if one],
    }


def _typed() -> Terms:
    form = request.form
    tls = form.get("tls", "")
    return Terms(
        name=form.get("name", ""),
        host=form.get("host", ""),
        port=_needed(whole_number("port")),
        tls=Tls(tls) if tls in set(Tls) else Tls.STARTTLS,
        username=form.get("username", ""),
        hello=form.get("hello", ""),
        weight=_needed(whole_number("weight")),
        connections=_needed(whole_number("connections")),
        per_second=whole_number("per_second"),
        per_minute=whole_number("per_minute"),
        per_hour=whole_number("per_hour"),
        senders=tuple(re.split(r"[\s,;]+", form.get("senders", "")[:10_000])),
        streams=tuple(form.getlist("streams")),
    )


def _needed(number: int | None) -> int:
    return _NO_NUMBER if number is None else number


def whole_number(name: str) -> int | None:
    """Read a field that holds a whole number: None where it is empty, a negative one for what is none."""
    text = request.form.get(name, "").strip()
    if not text:
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else _NO_NUMBER
