"""Keep a digest under the size at which mailbox providers cut a mail off (standards F9).

First summaries go, from the end; then articles, which are counted under "more on the site". The footer always stays.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from newsletter.mail.shapes import Section


class Form(enum.StrEnum):
    """How an article is shown."""

    LEAD = "lead"
    FULL = "full"
    BRIEF = "brief"
    """Without its summary and picture."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A section as it goes into the mail."""

    category: str
    articles: Sequence[tuple[int, Form]]
    more: int


class Sizes(Protocol):
    """Tells encoded bytes, text and HTML part together."""

    def heading(self, category: str) -> int: ...
    def article(self, article_id: int, form: Form) -> int: ...
    def more(self, category: str, count: int) -> int: ...
    def rest(self, count: int) -> int: ...


def fit(sections: Sequence[Section], sizes: Sizes, room: int) -> tuple[list[Fitted], int]:
    """Return the sections that fit into `room` bytes, and the number of new articles in sections that do not."""
    forms = [
        [(article, Form.FULL if at or number else Form.LEAD) for number, article in enumerate(section.article_ids)]
        for at, section in enumerate(sections)
    ]
    excess = sum(_size(s, articles, sizes) for s, articles in zip(sections, forms, strict=True)) - room
    for articles in reversed(forms):
        if excess <= 0:
            break
        for number in range(len(articles) - 1, -1, -1):
            article, form = articles[number]
            if excess > 0 and form is Form.FULL:
                articles[number] = article, Form.BRIEF
                excess -= sizes.article(article, Form.FULL) - sizes.article(article, Form.BRIEF)
    if excess <= 0:
        return [Fitted(s.category, articles, s.more) for s, articles in zip(sections, forms, strict=True)], 0
    return _cut(sections, forms, sizes, room)


def _size(section: Section, articles: Sequence[tuple[int, Form]], sizes: Sizes) -> int:
    more = sizes.more(section.category, section.more) if section.more else 0
    return sizes.heading(section.category) + sum(sizes.article(*article) for article in articles) + more


def _cut(
    sections: Sequence[Section], forms: Sequence[Sequence[tuple[int, Form]]], sizes: Sizes, room: int
) -> tuple[list[Fitted], int]:
    """Keep articles from the beginning for as long as there is room."""
    fitted: list[Fitted] = []
    counts = [len(section.article_ids) + section.more for section in sections]
    room -= sizes.rest(sum(counts))
    for at, (section, articles) in enumerate(zip(sections, forms, strict=True)):
        room -= sizes.heading(section.category) + sizes.more(section.category, counts[at])
        kept = 0
        for article, form in articles:
            room -= sizes.article(article, form)
            if room < 0:
                break
            kept += 1
        if kept:
            fitted.append(Fitted(section.category, articles[:kept], counts[at] - kept))
        if kept < len(articles):
            return fitted, sum(counts[at + (kept > 0) :])
    return fitted, 0
