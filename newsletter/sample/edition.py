"""What is out and what is still held back: the paper's only state."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from threading import Lock

from newsletter.sample.articles import Article, Draft

FIRST_AGE = timedelta(minutes=25)
"""How old the newest article is when the site opens."""
SPACING = timedelta(hours=5)
"""Between two articles of the backlog: thirty of them fill about six days, so daily and weekly digests differ."""


class Edition:
    """The articles that are out, and the drafts that wait. Safe to share between threads."""

    def __init__(self, drafts: Sequence[Draft], *, opened_at: datetime, held_back: int) -> None:
        """Date all but the last `held_back` drafts backwards from `opened_at`; `drafts` come oldest first."""
        opened_at = opened_at.replace(microsecond=0)  # feeds tell whole seconds
        out = max(len(drafts) - held_back, 0)
        newest_first = reversed(drafts[:out])
        self._articles = tuple(
            draft.publish(opened_at - FIRST_AGE - age * SPACING) for age, draft in enumerate(newest_first)
        )
        self._waiting = tuple(drafts[out:])
        self._changed_at = opened_at
        self._lock = Lock()

    @property
    def changed_at(self) -> datetime:
        """Return when an article last came out, or else when the site opened.

        Ask before reading the articles: a release in between then makes them newer than said, which costs a reader one
        repeated fetch, not older, which would hide them.
        """
        return self._changed_at

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def articles(self, category: str | None = None) -> list[Article]:
        """Return what is out, newest first: all of it, or one category's."""
        return [article for article in self._articles if category is None or category in article.categories]

    def release(self, count: int, now: datetime) -> list[Article]:
        """Publish up to `count` waiting drafts, the newest at `now`, one second apart; return them, newest first."""
        now = now.replace(microsecond=0)
        with self._lock:
            chosen, self._waiting = self._waiting[:count], self._waiting[count:]
            fresh = [draft.publish(now - timedelta(seconds=age)) for age, draft in enumerate(reversed(chosen))]
            if fresh:
                self._articles = (*fresh, *self._articles)
                self._changed_at = now
        return fresh
