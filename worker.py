"""The Celery entry point: `celery -A worker worker`."""

from newsletter.foundation import application

celery = application.build().extensions["celery"]
