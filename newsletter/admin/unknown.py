"""Deliveries whose fate is unknown: the relay's answer was never read. Only a person can decide about them."""

from flask import Response, g, render_template, request

from newsletter.admin.frame import go, pages, say
from newsletter.delivery import control, reports
from newsletter.delivery.control import Settlement
from newsletter.foundation.db import db, transaction
from newsletter.foundation.errors import InvalidError
from newsletter.tasks import ringing

_PAGE = 100


@pages.get("/unknown")
def unknown() -> str:
    """List them, with what can be done."""
    found = reports.open_unknown(db.session(), after=request.args.get("after", 0, type=int), limit=_PAGE)
    return render_template(
        "admin/unknown.html",
        section="unknown",
        deliveries=found,
        total=reports.count_open_unknown(db.session()),
        next=found[-1].id if len(found) == _PAGE else None,
    )


@pages.post("/unknown/settle")
def settle_unknown() -> Response:
    """Resend or leave one delivery (`delivery`), or all of them (`all`)."""
    act = request.form.get("act", "")
    if act not in set(Settlement):
        raise InvalidError("Choose whether to resend or to leave.")
    one = request.form.get("delivery", type=int)
    if one is None and "all" not in request.form:
        raise InvalidError("Choose a delivery.")
    settlement = Settlement(act)
    with transaction() as session:
        number = control.settle_unknown(session, None if one is None else [one], settlement, g.now)
    mails = "1 mail" if number == 1 else f"{number:,} mails"
    if settlement is Settlement.RESEND:
        ringing.ring(ringing.SEND)
        say(f"{mails} will be offered again, with the same Message-ID.")
    else:
        say(f"{mails} left as unknown. Nobody is asked again.")
    return go("unknown")
