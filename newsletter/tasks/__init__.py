"""Celery entry points: each fetches its tools and calls one act."""
