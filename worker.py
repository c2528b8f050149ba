"""The Celery entry point: `celery -A worker worker`."""

from newsletter.app import create_app

celery = create_app().extensions["celery"]
