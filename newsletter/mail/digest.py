"""The digest: one mail per reader with just their categories, composed by assembling.

All that is the same for many readers, the page, each article, each heading, is rendered, inlined and encoded once per
run, language and zone. A reader's mail is a join of those bytes with a few of their own, so that its cost stays flat
however many different sets of categories there are.
"""

import functools
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final, NamedTuple

from markupsafe import escape

from newsletter.foundation import languages
from newsletter.foundation.errors import RenderError
from newsletter.mail import headers, message
from newsletter.mail.addresses import address
from newsletter.mail.cards import card
from newsletter.mail.cleaning import clean, clip, prose, subject
from newsletter.mail.fitting import Fitted, Form, fit
from newsletter.mail.fragments import Fragment, Pattern, size, words
from newsletter.mail.shapes import (
    ArticleCard,
    CategoryFacts,
    DigestFrame,
    Envelope,
    Marking,
    Message,
    PersonalLinks,
    PublicationFacts,
    ReaderPart,
    Rendered,
    Section,
)
from newsletter.mail.stationery import stationery
from newsletter.mail.urls import own_url, page_url

ROOM: Final = 94_000
"""Encoded bytes of both parts: under the providers' 102,000 with the way to leave in the first 95,000 (F9)."""
_CONTENTS_FROM: Final = 7
"""Articles from which on a contents list helps."""
_CONTENTS_ROWS: Final = 12


class _Piece(NamedTuple):
    """A fragment for each part."""

    html: Fragment
    text: Fragment
    size: int
    """Encoded bytes of both: every mail asks for them again."""


class DigestComposer:
    """Makes the mails of one run in one language and time zone."""

    def __init__(
        self,
        facts: PublicationFacts,
        frame: DigestFrame,
        categories: Iterable[CategoryFacts],
        cards: Iterable[ArticleCard],
    ) -> None:
        self._facts, self._frame = facts, frame
        self._paper = stationery(facts, frame.language)
        self._categories = {category.slug: category for category in categories}
        self._names = {slug: prose(category.name, 60) for slug, category in self._categories.items()}
        self._cards = {article.id: card(article, frame.language, frame.zone, frame.utm) for article in cards}
        self._pieces: dict[tuple[str, object, object], _Piece] = {}
        self._subjects: dict[int, str] = {}
        shared = {
            "date": languages.day(frame.at, frame.zone, frame.language),
            "cadence": prose(languages.named(frame.cadence_name, frame.language), 80),
            "marking": frame.marking.value,
        }
        self._date = shared["date"]
        self._page = Pattern(self._paper.page("digest/body.html", **shared))
        self._plain = Pattern(self._paper.plain("digest/body.txt", **shared))
        self._contents = Pattern(self._paper.part("digest/contents.html"))
        self._plain_contents = Pattern(self._paper.plain("digest/contents.txt"))
        self._fields = (
            headers.mailbox("From", facts.name, address(facts.digest_from)),
            headers.mailbox("Reply-To", facts.name, address(facts.contact_address)),
            headers.structured("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            headers.list_id(f"{facts.name}: {frame.cadence_name}", frame.cadence_slug, facts.list_domain),
            headers.feedback_id(frame.issue, frame.cadence_slug, "digest", facts.sender_id),
            headers.structured("Precedence", "bulk"),
            headers.structured("X-Auto-Response-Suppress", "OOF, AutoReply"),
        )

    def compose(self, reader: ReaderPart, envelope: Envelope) -> Message:
        """Return the message for `reader`. Raises RenderError if it cannot be made as the standards want it."""
        html, text, lead = self._assemble(reader)
        recipient = address(envelope.to)
        links = self._links(reader)
        content = message.build(
            (
                *self._fields,
                headers.to(recipient),
                headers.unstructured("Subject", self._subject(lead)),
                headers.date(envelope.date),
                headers.message_id(envelope.message_id),
                headers.list_unsubscribe(own_url(links.one_click), links.mailto),
            ),
            text,
            html,
        )
        return Message(envelope.return_path, recipient.wire, recipient.smtputf8, content)

    def render(self, reader: ReaderPart) -> Rendered:
        """Return what `compose` encodes, for a preview."""
        html, text, lead = self._assemble(reader)
        return Rendered(self._subject(lead), words(text), words(html))

    def _assemble(self, reader: ReaderPart) -> tuple[list[Fragment], list[Fragment], int]:
        """Return the fragments of the HTML part and of the text part, and the first article's id."""
        chosen = [section for section in reader.sections if section.article_ids]
        if not chosen:
            raise RenderError("There is nothing new to send to this reader.")
        links = self._links(reader)
        own = {
            "line": self._line(chosen),
            "reader": self._name(reader.name),
            "preferences": own_url(links.preferences),
            "leave": own_url(links.leave),
        }
        text = {slot: [Fragment.of(value)] for slot, value in own.items()}
        html = {slot: [_as_html(fragment) for fragment in fragments] for slot, fragments in text.items()}
        contents = self._inside([(s.category, s.article_ids, s.more) for s in chosen])
        personal = size(chain(*html.values(), *text.values(), *contents))
        room = ROOM - self._page.size - self._plain.size - personal
        sections, rest = fit(chosen, self, room)
        if rest or any(len(kept.articles) < len(s.article_ids) for kept, s in zip(sections, chosen, strict=False)):
            contents = self._inside([(s.category, [article for article, _ in s.articles], s.more) for s in sections])
        html["contents"], text["contents"] = contents
        pieces = list(self._body(sections, rest))
        html["articles"], text["articles"] = [piece.html for piece in pieces], [piece.text for piece in pieces]
        return self._page.fill(html), self._plain.fill(text), chosen[0].article_ids[0]

    def _body(self, sections: Iterable[Fitted], rest: int) -> Iterator[_Piece]:
        for section in sections:
            yield self._heading(section.category)
            for article_id, form in section.articles:
                yield self._article(article_id, form)
            if section.more:
                yield self._more(section.category, section.more)
        if rest:
            yield self._rest(rest)

    def _inside(self, sections: Sequence[tuple[str, Sequence[int], int]]) -> tuple[list[Fragment], list[Fragment]]:
        """Return the contents list: for each category its first headlines, and how many more there are."""
        if sum(len(articles) for _, articles, _ in sections) < _CONTENTS_FROM:
            return [], []
        headlines = 2 if len(sections) > 1 else 5
        rows = [
            self._row(category, tuple(articles[:headlines]), len(articles[headlines:]) + more)
            for category, articles, more in sections[:_CONTENTS_ROWS]
        ]
        return (
            self._contents.fill({"rows": [row.html for row in rows]}),
            self._plain_contents.fill({"rows": [row.text for row in rows]}),
        )

    # What fitting.Sizes asks.

    def heading(self, category: str) -> int:
        """Return the encoded bytes of a category's heading."""
        return self._heading(category).size

    def article(self, article_id: int, form: Form) -> int:
        """Return the encoded bytes of an article."""
        return self._article(article_id, form).size

    def more(self, category: str, count: int) -> int:
        """Return the encoded bytes of the link to what a section left out."""
        return self._more(category, count).size

    def rest(self, count: int) -> int:
        """Return the encoded bytes of the link to what the whole mail left out."""
        return self._rest(count).size

    # The pieces, each made when first needed.

    def _heading(self, category: str) -> _Piece:
        key = ("heading", category, 0)
        return self._pieces.get(key) or self._make(key, name=self._named(category))

    def _article(self, article_id: int, form: Form) -> _Piece:
        key = ("card", article_id, form)
        if piece := self._pieces.get(key):
            return piece
        try:
            return self._make(key, card=self._cards[article_id], form=form.value)
        except KeyError:
            raise RenderError(f"Article {article_id} is not among those of this run.") from None

    def _more(self, category: str, count: int) -> _Piece:
        key = ("more", category, count)
        if piece := self._pieces.get(key):
            return piece
        url = page_url(self._categories[category].url) or self._facts.site_url
        return self._make(key, name=self._named(category), count=count, url=url)

    def _rest(self, count: int) -> _Piece:
        key = ("more", None, count)
        return self._pieces.get(key) or self._make(key, name="", count=count, url=self._facts.site_url)

    def _row(self, category: str, articles: tuple[int, ...], others: int) -> _Piece:
        key = ("row", category, (articles, others))
        if piece := self._pieces.get(key):
            return piece
        titles = [clip(self._cards[article].title, 90) for article in articles]
        return self._make(key, name=self._named(category), titles=titles, others=others)

    def _make(self, key: tuple[str, object, object], **values: object) -> _Piece:
        html = Fragment.of(self._paper.part(f"digest/{key[0]}.html", **values))
        text = Fragment.of(self._paper.plain(f"digest/{key[0]}.txt", **values))
        piece = self._pieces[key] = _Piece(html, text, size((html, text)))
        return piece

    # The words that differ from reader to reader.

    def _line(self, sections: Sequence[Section]) -> str:
        """Return the visible first line, e.g. `7 new in Business and World`, at most about 110 characters (F17)."""
        speech, language = languages.catalogue(self._frame.language), self._frame.language
        count = sum(len(section.article_ids) + section.more for section in sections)
        names = [clip(self._named(section.category), 30) for section in sections]
        if len(names) > 4:
            others = len(names) - 3
            rest = speech.ngettext("%(num)s other category", "%(num)s other categories", others)
            names[3:] = [rest % {"num": _number(others, language)}]
        line = speech.ngettext("%(num)s new in %(categories)s", "%(num)s new in %(categories)s", count)
        return line % {"num": _number(count, language), "categories": _listing(tuple(names), language)}

    def _name(self, name: str) -> str:
        """Return the addition to the date in the masthead, e.g. ` · for Anna`."""
        shown = prose(name, 60)
        if not shown:
            return ""
        return " · " + languages.catalogue(self._frame.language).gettext("for %(name)s") % {"name": shown}

    def _named(self, category: str) -> str:
        try:
            return self._names[category]
        except KeyError:
            raise RenderError(f"Category “{category}” is not among those of this run.") from None

    def _subject(self, lead: int) -> str:
        if lead not in self._subjects:
            text = self._paper.plain(
                "digest/subject.txt",
                headline=self._cards[lead].title,
                subject_text=clean(self._frame.subject_text, 100),
                date=self._date,
            )
            line = subject(text, f"{self._facts.name}: {self._date}")
            if self._frame.marking is Marking.TEST:
                line = languages.catalogue(self._frame.language).gettext("[Test] %(subject)s") % {"subject": line}
            self._subjects[lead] = line
        return self._subjects[lead]

    def _links(self, reader: ReaderPart) -> PersonalLinks:
        """Return the reader's links, or in a test or copy such as concern nobody, whatever was passed."""
        return reader.links if self._frame.marking is Marking.NONE else PersonalLinks.inert(self._facts.site_url)


def _as_html(plain: Fragment) -> Fragment:
    """Return the same words escaped; most, above all links, are the same in both parts and encoded once."""
    escaped = str(escape(plain.words))
    return plain if escaped == plain.words else Fragment.of(escaped)


# Babel takes longer for these few words than all the rest of a message takes.


@functools.lru_cache(maxsize=10_000)
def _listing(names: tuple[str, ...], language: str) -> str:
    return languages.listing(names, language)


@functools.lru_cache(maxsize=10_000)
def _number(value: int, language: str) -> str:
    return languages.number(value, language)
