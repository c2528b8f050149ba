"""Pages for visitors and readers."""

from flask import Flask

from newsletter.web import health


def install(app: Flask) -> None:
    """Register the pages."""
    app.register_blueprint(health.pages)
