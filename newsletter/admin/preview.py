"""How a digest will look: as a chosen reader, or as a colleague's copy; and a test of it by mail."""

from flask import Response, g, render_template, request

from newsletter.admin.frame import go, pages, say
from newsletter.admin.security import PREVIEW
from newsletter.audience import addresses, cadences, subscribers
from newsletter.audience.models import Cadence
from newsletter.delivery import preview
from newsletter.foundation.db import db
from newsletter.foundation.errors import NewsletterError, NotFoundError

_WIDTHS = ("desktop", "phone")
_VIEWS = ("html", "text")


@pages.get("/digests/<int:cadence_id>/preview")
def digest_preview(cadence_id: int) -> str:
    """Show the digest as a reader would get it now; without an address, all of it."""
    cadence = cadences.get(db.session(), cadence_id)
    address = request.args.get("address", "").strip()
    rendered, problem = None, ""
    try:
        rendered = preview.preview(db.session(), cadence, _reader(address), g.now)
    except NewsletterError as error:
        problem = str(error)
    return render_template(
        "admin/preview.html",
        section="digests",
        tab="preview",
        cadence=cadence,
        address=address,
        view=_one_of(_VIEWS, "view"),
        width=_one_of(_WIDTHS, "width"),
        rendered=rendered,
        problem=problem,
    )


@pages.get("/digests/<int:cadence_id>/preview/mail")
def digest_preview_mail(cadence_id: int) -> Response:
    """Answer the mail's HTML alone, for the frame inside the page: nothing in it runs, and it belongs to no origin."""
    cadence: Cadence = cadences.get(db.session(), cadence_id)
    rendered = preview.preview(db.session(), cadence, _reader(request.args.get("address", "").strip()), g.now)
    return Response(rendered.html, headers={"Content-Security-Policy": PREVIEW})


@pages.post("/digests/<int:cadence_id>/test")
def send_test(cadence_id: int) -> Response:
    """Send the digest as a test, marked as one. It makes no run and no delivery."""
    cadence = cadences.get(db.session(), cadence_id)
    address = request.form.get("address", "").strip()
    to = addresses.check(request.form.get("to", ""))
    message = preview.compose_test(db.session(), cadence, _reader(address), to, g.now)
    preview.send_now(db.session(), cadence, message, g.now)
    say(f"The relay accepted the test to {to}.")
    return go("digest_preview", cadence_id=cadence_id, address=address)


def _reader(address: str) -> int | None:
    """Return the reader with this address, None where none is asked for. Raises NotFoundError."""
    if not address:
        return None
    reader = subscribers.by_address(db.session(), address)
    if reader is None:
        raise NotFoundError(f"There is no reader with the address {address}.")
    return reader.id


def _one_of(choices: tuple[str, ...], name: str) -> str:
    chosen = request.args.get(name, "")
    return chosen if chosen in choices else choices[0]
