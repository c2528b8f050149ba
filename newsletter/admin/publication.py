"""The publication's fields, and the style page."""

from dataclasses import asdict
from typing import Final

from flask import Response, g, render_template, request

from newsletter.admin import frame
from newsletter.admin.frame import go, pages, say
from newsletter.foundation.db import transaction
from newsletter.foundation.errors import InvalidError
from newsletter.foundation.languages import LANGUAGES
from newsletter.publication import identity

_FIELDS: Final = tuple(asdict(identity.Identity("", "")))


@pages.get("/publication")
def publication_form() -> str:
    """Show the form."""
    return _page(asdict(frame.publication()), [])


@pages.post("/publication")
def change_publication() -> Response | tuple[str, int]:
    """Change the fields that the form held: all of them or, when one is wrong, none."""
    changes = {name: request.form[name] for name in _FIELDS if name in request.form}
    try:
        with transaction() as session:
            identity.update(session, g.now, **changes)
    except InvalidError as error:
        return _page(asdict(frame.publication()) | changes, str(error).splitlines()), 422
    say("Saved.")
    return go("publication_form")


def _page(typed: dict[str, str], wrong: list[str]) -> str:
    saved = frame.publication()
    return render_template(
        "admin/publication.html",
        section="",
        typed=typed,
        saved=saved,
        wrong=wrong,
        missing=[] if wrong else identity.problems(saved),
        languages=list(LANGUAGES.items()),
    )


@pages.get("/style")
def style() -> str:
    """Show each part that pages are made of."""
    return render_template("admin/style.html", section="")
