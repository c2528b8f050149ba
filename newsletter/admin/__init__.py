"""Pages for operators."""

from flask import Flask


def install(app: Flask) -> None:
    """Register the pages."""
