"""The web entry point: `gunicorn wsgi:app`."""

from newsletter.app import create_app

app = create_app()
