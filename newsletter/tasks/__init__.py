"""Celery entry points: each fetches its tools and calls one act.

A task carries no work, only the hint that there may be some; what is due stands in the database. All of them are
harmless to repeat.
"""

from newsletter.tasks import beating, content, digests, ringing, sending, upkeep

__all__ = ["beating", "content", "digests", "ringing", "sending", "upkeep"]
