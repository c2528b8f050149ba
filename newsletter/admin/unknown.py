"""Deliveries whose fate is unknown: the relay's answer was never read. Only a person can decide about them."""

from flask import Response, g, render_template, request

from newsletter.admin.frame import go, pages, say
from newsletter.delivery import control, reports
from newsletter.delivery.control import Settlement
from newsletter.foundation.db import db, transaction
from newsletter.foundation.errors import ConflictError, InvalidError
from newsletter.tasks import ringing

_PAGE = 100


@pages.get("/unknown")
def unknown() -> str:
    """List them, of all runs or of one (`run`), with what can be done."""
    run_id = request.args.get("run", type=int)
    report = reports.one_run(db.session(), run_id) if run_id is not None else None
    after = request.args.get("after", 0, type=int)
    found = reports.open_unknown(db.session(), run_id=run_id, after=after, limit=_PAGE)
    return render_template(
        "admin/unknown.html",
        section="unknown",
        deliveries=found,
        report=report,
        total=reports.count_open_unknown(db.session(), run_id=run_id),
        next=found[-1].id if len(found) == _PAGE else None,
    )


@pages.post("/unknown/settle")
def settle_unknown() -> Response:
    """Resend or leave one delivery (`delivery`), or all of them (`all`), of one run (`run`) where it is named."""
    act = request.form.get("act", "")
    if act not in set(Settlement):
        raise InvalidError("Choose whether to resend or to leave.")
    one = request.form.get("delivery", type=int)
    if one is None and "all" not in request.form:
        raise InvalidError("Choose a delivery.")
    settlement, run_id = Settlement(act), request.form.get("run", type=int)
    with transaction() as session:
        mailing = reports.one_run(session, run_id).mailing if run_id is not None else None
        if run_id is not None and mailing is None:
            raise ConflictError("This run sent nothing, so nothing of it is unknown.")
        ids, mailing_id = None if one is None else [one], mailing.id if mailing else None
        number = control.settle_unknown(session, ids, settlement, g.now, mailing_id=mailing_id)
    mails = "1 mail" if number == 1 else f"{number:,} mails"
    if settlement is Settlement.RESEND:
        ringing.ring(ringing.SEND)
        say(f"{mails} will be offered again, with the same Message-ID.")
    else:
        say(f"{mails} left as unknown. Nobody is asked again.")
    return go("unknown", run=run_id)
