"""Pages for visitors and readers."""

from flask import Flask
from werkzeug.exceptions import HTTPException

# Each module adds its pages to the frame's blueprint.
from newsletter.web import confirming, frame, headers, health, leaving, preferences, signup, site
from newsletter.web.frame import pages

__all__ = ["confirming", "install", "leaving", "pages", "preferences", "signup", "site"]


def install(app: Flask) -> None:
    """Register the pages, what is said when there is none, and the headers that every answer has at least."""
    app.register_blueprint(health.pages)
    app.register_blueprint(pages)
    app.register_error_handler(HTTPException, frame.broken)
    app.after_request(headers.add)
