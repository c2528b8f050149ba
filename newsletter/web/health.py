"""Whether this process lives (/health/live) and whether it can do its work (/health/ready)."""

from typing import Any

from flask import Blueprint
from sqlalchemy.exc import SQLAlchemyError

from newsletter.foundation import migrating
from newsletter.foundation.db import db

pages = Blueprint("health", __name__, url_prefix="/health")


@pages.get("/live")
def live() -> dict[str, Any]:
    """Answer that the process serves requests."""
    return {"ok": True}


@pages.get("/ready")
def ready() -> tuple[dict[str, Any], int]:
    """Answer 200 when the database answers and has this version's tables, else 503 with the reason."""
    try:
        current = migrating.current(db.session.connection())
    except SQLAlchemyError:
        return {"ok": False, "database": "does not answer"}, 503
    if current != migrating.wanted():
        return {"ok": False, "database": "needs `newsletter db upgrade`"}, 503
    return {"ok": True, "database": "ok"}, 200
