"""An article as a digest's templates see it: clean words, safe links, a picture only if it can stand there."""

import dataclasses
import datetime
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from newsletter.foundation import languages
from newsletter.mail.cleaning import prose
from newsletter.mail.shapes import ArticleCard
from newsletter.mail.urls import page_url

_WIDTH: Final = 568
"""Of a lead picture, in CSS pixels: the column without its padding."""
_SUMMARY: Final = 190
"""Characters: two lines in the column, three or four on a phone."""


@dataclass(frozen=True, slots=True)
class Card:
    """What card.html and card.txt show. `url` is None where the feed's link cannot stand in a mail."""

    title: str
    url: str | None
    summary: str
    source: str
    published: str
    image_url: str | None
    image_height: int
    """At the lead picture's width of 568 pixels."""


def card(article: ArticleCard, language: str, zone: str, utm: Mapping[str, str]) -> Card:
    """Return `article` as readers of `language` in time zone `zone` see it."""
    published = _published(article.published_at, zone, language)
    return dataclasses.replace(_timeless(article, tuple(utm.items())), published=published)


@functools.lru_cache(maxsize=512)
def _timeless(article: ArticleCard, utm: tuple[tuple[str, str], ...]) -> Card:
    """Return what readers of all languages and zones see alike; their frames are made soon after each other."""
    return Card(
        title=prose(article.title, 300) or prose(article.url, 80) or "…",
        url=page_url(article.url, dict(utm)),
        summary=prose(article.summary, _SUMMARY),
        source=prose(article.source_name, 80),
        published="",
        image_url=page_url(article.image_url) if _is_picture(article) else None,
        image_height=_height(article),
    )


def _published(when: datetime.datetime | None, zone: str, language: str) -> str:
    return languages.moment(when, zone, language) if when else ""


def _is_picture(article: ArticleCard) -> bool:
    """Leave out counting pixels, and what would be a tower or a strip."""
    width, height = article.image_width, article.image_height
    if not article.image_url or width is None or height is None:
        return bool(article.image_url)
    return width >= 64 and height >= 64 and 0.25 <= height / width <= 1.5


def _height(article: ArticleCard) -> int:
    # Most feeds do not say; 16:9 is then reserved, and programs that know CSS show the picture's own ratio.
    if _is_picture(article) and article.image_width and article.image_height:
        return round(_WIDTH * article.image_height / article.image_width)
    return round(_WIDTH * 9 / 16)
