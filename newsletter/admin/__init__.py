"""Pages for operators."""

from flask import Flask

from newsletter.admin import signin  # noqa: F401  (each module adds its pages to the frame's blueprint)
from newsletter.admin.frame import pages
from newsletter.admin.security import csrf


def install(app: Flask) -> None:
    """Register the pages."""
    csrf.init_app(app)
    app.register_blueprint(pages)
