"""What a digest's pieces say: which templates its body is made of, in which order, and with what words.

A slip names one piece: a heading, a card, a row of the contents list, a link to what was left out. It is rendered once
and shared, or for each reader anew; what stands on it is the same.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from newsletter.foundation.errors import RenderError
from newsletter.mail.cards import Card, card
from newsletter.mail.cleaning import clip, prose
from newsletter.mail.fitting import Fitted, Form
from newsletter.mail.shapes import ArticleCard, CategoryFacts, DigestFrame, PublicationFacts, Section
from newsletter.mail.urls import page_url

TEMPLATES: Final = ("heading", "card", "more", "row", "contents", "body")
"""Each in .html and .txt."""
CONTENTS_FROM: Final = 7
"""Articles from which on a contents list helps."""
CONTENTS_ROWS: Final = 12
_SHORT: Final = 30


class Slip(NamedTuple):
    """One piece: its template and what it is about."""

    template: str
    category: str = ""
    articles: tuple[int, ...] = ()
    number: int = 0
    form: str = ""


def pieces(fitted: Fitted) -> Iterator[Slip]:
    """Return the pieces of one section, in order."""
    yield heading(fitted.category)
    for article_id, form in fitted.articles:
        yield article(article_id, form)
    if fitted.more:
        yield more(fitted.category, fitted.more)


def heading(category: str) -> Slip:
    """Return the heading of a category."""
    return Slip("heading", category)


def article(article_id: int, form: Form) -> Slip:
    """Return an article in one of its forms."""
    return Slip("card", articles=(article_id,), form=form.value)


def more(category: str, count: int) -> Slip:
    """Return the link to what a section left out; without a category, to what the whole mail did."""
    return Slip("more", category, number=count)


def row(section: Section, *, alone: bool = False) -> Slip:
    """Return a category's line in the contents list: its first headlines, and how many there are besides."""
    shown = tuple(section.article_ids[: 5 if alone else 2])
    return Slip("row", section.category, shown, len(section.article_ids) - len(shown) + section.more)


def whole(section: Section, *, lead: bool) -> Fitted:
    """Return a section with nothing left out; `lead` for the mail's first."""
    forms = [Form.LEAD if lead and not at else Form.FULL for at in range(len(section.article_ids))]
    return Fitted(section.category, list(zip(section.article_ids, forms, strict=True)), section.more)


class Weights:
    """The encoded bytes of pieces, as fitting asks for them."""

    def __init__(self, of: Callable[[Slip], int]) -> None:
        self.of = of

    def heading(self, category: str) -> int:
        """Return those of a category's heading."""
        return self.of(heading(category))

    def article(self, article_id: int, form: Form) -> int:
        """Return those of an article."""
        return self.of(article(article_id, form))

    def more(self, category: str, count: int) -> int:
        """Return those of the link to what a section left out."""
        return self.of(more(category, count))

    def rest(self, count: int) -> int:
        """Return those of the link to what the whole mail left out."""
        return self.of(more("", count))


class Words:
    """Tells what stands on a slip, for readers of one language and zone."""

    def __init__(
        self,
        facts: PublicationFacts,
        frame: DigestFrame,
        categories: Iterable[CategoryFacts],
        cards: Iterable[ArticleCard],
    ) -> None:
        self._site_url = facts.site_url
        self._categories = {category.slug: category for category in categories}
        self._names = {slug: prose(category.name, 60) for slug, category in self._categories.items()}
        self._frame = frame
        self._articles = {article.id: article for article in cards}
        self._cards: dict[int, Card] = {}

    def on(self, slip: Slip) -> Mapping[str, object]:
        """Return the values for the slip's template. Raises RenderError for what is not in this run."""
        if slip.template == "card":
            return {"card": self._card(slip.articles[0]), "form": slip.form}
        if slip.template == "row":
            titles = [clip(self.title(article), 90) for article in slip.articles]
            return {"name": self.name(slip.category), "titles": titles, "others": slip.number}
        if slip.template == "more":
            url = page_url(self._categories[slip.category].url) if slip.category else None
            name = self.name(slip.category) if slip.category else ""
            return {"name": name, "count": slip.number, "url": url or self._site_url}
        return {"name": self.name(slip.category)}

    def name(self, category: str) -> str:
        """Return a category's name."""
        try:
            return self._names[category]
        except KeyError:
            raise RenderError(f"Category “{category}” is not among those of this run.") from None

    def short(self, category: str) -> str:
        """Return a category's name as the mail's first line has it."""
        return clip(self.name(category), _SHORT)

    def title(self, article_id: int) -> str:
        """Return an article's headline."""
        return self._card(article_id).title

    def _card(self, article_id: int) -> Card:
        found = self._cards.get(article_id)
        if found is None:
            article = self._articles.get(article_id)
            if article is None:
                raise RenderError(f"Article {article_id} is not among those of this run.")
            frame = self._frame
            found = self._cards[article_id] = card(article, frame.language, frame.zone, frame.utm)
        return found
