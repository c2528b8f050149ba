"""Whether this process lives (/health/live) and whether it can do its work (/health/ready)."""

from typing import Any

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Blueprint
from sqlalchemy.exc import SQLAlchemyError

from newsletter.foundation import resources
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
        connection = db.session.connection()
        current = set(MigrationContext.configure(connection).get_current_heads())
    except SQLAlchemyError:
        return {"ok": False, "database": "does not answer"}, 503
    wanted = set(ScriptDirectory(str(resources.folder("migrations"))).get_heads())
    if current != wanted:
        return {"ok": False, "database": "needs `newsletter db upgrade`"}, 503
    return {"ok": True, "database": "ok"}, 200
