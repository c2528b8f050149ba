"""Pages for operators."""

from flask import Flask

# Each module adds its pages to the frame's blueprint.
from newsletter.admin import (
    cadences,
    categories,
    digests,
    dkim,
    limits,
    overview,
    preview,
    publication,
    relays,
    runs,
    signin,
    sources,
    unknown,
)
from newsletter.admin.frame import pages
from newsletter.admin.security import csrf

__all__ = [
    "cadences",
    "categories",
    "digests",
    "dkim",
    "install",
    "limits",
    "overview",
    "preview",
    "publication",
    "relays",
    "runs",
    "signin",
    "sources",
    "unknown",
]


def install(app: Flask) -> None:
    """Register the pages."""
    csrf.init_app(app)
    app.register_blueprint(pages)
