"""The categories that readers can ask for."""

from flask import Response, g, render_template, request

from newsletter.admin.frame import go, pages, say
from newsletter.content import categories as acts
from newsletter.foundation.db import db, transaction
from newsletter.foundation.errors import ConflictError, InvalidError


@pages.get("/categories")
def categories() -> str:
    """List them in the site's order, with the form for one more."""
    return _page({}, [])


@pages.post("/categories")
def add_category() -> Response | tuple[str, int]:
    """Add one."""
    typed = {name: request.form.get(name, "") for name in ("name", "description", "url")}
    try:
        with transaction() as session:
            category = acts.add(session, **typed)
    except (InvalidError, ConflictError) as error:
        return _page(typed, str(error).splitlines()), 422
    say(f"Readers can ask for {category.name} now.")
    return go("categories")


@pages.get("/categories/<int:category_id>")
def category(category_id: int) -> str:
    """Show one, to be changed."""
    found = acts.get(db.session(), category_id)
    return _one(category_id, {"name": found.name, "description": found.description, "url": found.url}, [])


@pages.post("/categories/<int:category_id>")
def change_category(category_id: int) -> Response | tuple[str, int]:
    """Change what readers see of it."""
    typed = {name: request.form.get(name, "") for name in ("name", "description", "url")}
    try:
        with transaction() as session:
            acts.change(session, category_id, **typed)
    except InvalidError as error:
        return _one(category_id, typed, str(error).splitlines()), 422
    say("Saved.")
    return go("categories")


@pages.post("/categories/<int:category_id>/move")
def move_category(category_id: int) -> Response:
    """Move it a place up or down."""
    with transaction() as session:
        acts.move(session, category_id, up=request.form.get("act") == "up")
    return go("categories")


@pages.post("/categories/<int:category_id>/archive")
def archive_category(category_id: int) -> Response:
    """Offer it no more."""
    with transaction() as session:
        acts.archive(session, category_id, g.now)
    say("It is offered no more, and digests leave it out. Readers keep their choice should it come back.")
    return go("categories")


@pages.post("/categories/<int:category_id>/restore")
def restore_category(category_id: int) -> Response:
    """Offer it again."""
    with transaction() as session:
        acts.restore(session, category_id)
    say("It is offered again.")
    return go("categories")


def _page(typed: dict[str, str], problems: list[str]) -> str:
    found = acts.listed(db.session(), archived=True)
    return render_template(
        "admin/categories.html",
        section="categories",
        offered=[one for one in found if one.archived_at is None],
        archived=[one for one in found if one.archived_at is not None],
        typed=typed,
        problems=problems,
    )


def _one(category_id: int, typed: dict[str, str], problems: list[str]) -> str:
    found = acts.get(db.session(), category_id)
    return render_template("admin/category.html", section="categories", category=found, typed=typed, problems=problems)
