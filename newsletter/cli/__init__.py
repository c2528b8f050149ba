"""The `newsletter` command."""

from flask import Flask


def install(app: Flask) -> None:
    """Register the commands."""
