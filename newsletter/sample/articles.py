"""The Gazette's texts: what an article is, and where the written ones lie."""

import tomllib
from dataclasses import dataclass
from datetime import datetime
from html import escape
from importlib.resources import files
from itertools import chain, zip_longest

CATEGORIES = ("Business", "Politics", "Investing", "World")


@dataclass(frozen=True, kw_only=True)
class Draft:
    """One written text that has no date yet."""

    slug: str
    title: str
    """Plain text, as the author typed it: it may hold `<` and `&`."""
    categories: tuple[str, ...]
    """The first one is the desk that wrote it."""
    paragraphs: tuple[str, ...]

    @property
    def guid(self) -> str:
        """Return the identity all feeds share: a tag URI (RFC 4151), so that it outlives a change of port."""
        return f"tag:sample-gazette.example,2026:{self.slug}"

    @property
    def byline(self) -> str:
        return f"{self.categories[0]} desk"

    @property
    def summary(self) -> str:
        return self.paragraphs[0]

    @property
    def html(self) -> str:
        return "\n".join(f"<p>{escape(paragraph, quote=False)}</p>" for paragraph in self.paragraphs)

    def publish(self, at: datetime) -> "Article":
        """Return the article that this text becomes at the instant `at`."""
        return Article(
            slug=self.slug, title=self.title, categories=self.categories, paragraphs=self.paragraphs, published_at=at
        )


@dataclass(frozen=True, kw_only=True)
class Article(Draft):
    """A text that is out."""

    published_at: datetime


def load_drafts() -> tuple[Draft, ...]:
    """Read every text, oldest first, taking one from each category in turn so that any stretch of them is a mix."""
    desks = [_desk(category) for category in CATEGORIES]
    return tuple(draft for draft in chain.from_iterable(zip_longest(*desks)) if draft is not None)


def _desk(category: str) -> list[Draft]:
    text = files(__package__).joinpath("texts", f"{category.lower()}.toml").read_text(encoding="utf-8")
    return [
        Draft(
            slug=entry["slug"],
            title=entry["title"],
            categories=(category, *entry.get("also", ())),
            paragraphs=tuple(entry["text"].strip().split("\n\n")),
        )
        for entry in tomllib.loads(text)["articles"]
    ]
