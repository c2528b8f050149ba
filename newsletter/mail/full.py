"""A digest rendered in full for one reader: slower by far than assembling it, and what assembling is measured by."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from markupsafe import Markup

from newsletter.foundation.errors import RenderError
from newsletter.mail import headers, message, personal, slips
from newsletter.mail.addresses import address
from newsletter.mail.dkim import Signer
from newsletter.mail.fitting import Fitted, fit
from newsletter.mail.fragments import encode
from newsletter.mail.headers import Field
from newsletter.mail.opening import opening
from newsletter.mail.personal import Reader
from newsletter.mail.shapes import Envelope, Message, PersonalLinks, Rendered, Section
from newsletter.mail.sheet import SubjectLine
from newsletter.mail.slips import Slip, Weights, Words
from newsletter.mail.stationery import Stationery

_ATTEMPTS: Final = 6


class Layout(NamedTuple):
    """What of a reader's sections goes into the mail."""

    chosen: Sequence[Section]
    sections: Sequence[Fitted]
    rest: int
    """New articles in sections that are left out."""

    @classmethod
    def whole(cls, chosen: Sequence[Section]) -> "Layout":
        """Return the layout that leaves nothing out."""
        return cls(chosen, [slips.whole(section, lead=not at) for at, section in enumerate(chosen)], 0)

    def rows(self) -> list[Slip]:
        """Return the contents list: none for a short digest."""
        if sum(len(fitted.articles) for fitted in self.sections) < slips.CONTENTS_FROM:
            return []
        alone = len(self.sections) == 1
        return [
            slips.row(
                Section(fitted.category, tuple(article for article, _ in fitted.articles), fitted.more), alone=alone
            )
            for fitted in self.sections[: slips.CONTENTS_ROWS]
        ]

    def body(self) -> list[Slip]:
        """Return the pieces of the body, in order."""
        pieces = [slip for fitted in self.sections for slip in slips.pieces(fitted)]
        return [*pieces, slips.more("", self.rest)] if self.rest else pieces


class FullPress:
    """Renders digests of one run, language and zone, each from the beginning."""

    def __init__(self, paper: Stationery, words: Words, shared: Mapping[str, str], language: str) -> None:
        self._paper, self._words, self._shared, self._language = paper, words, shared, language

    def reader(self, name: str, links: PersonalLinks, chosen: Sequence[Section]) -> Reader:
        """Return a reader as the templates see one."""
        categories = tuple(self._words.name(section.category) for section in chosen)
        return personal.reader(name, links, self._language, categories)

    def render(self, layout: Layout, reader: Reader) -> tuple[str, str]:
        """Return text and HTML."""
        text = self._paper.plain("digest/body.txt", **self._values("txt", layout, reader))
        return text, self._paper.page("digest/body.html", **self._values("html", layout, reader))

    def fitted(self, chosen: Sequence[Section], reader: Reader, room: int) -> tuple[str, str]:
        """Return text and HTML, with as much left out as their encoded form needs to stay within `room` bytes.

        Raises RenderError if even a digest without an article would be longer.
        """
        layout = Layout.whole(chosen)
        made = self.render(layout, reader)
        sizes = Weights(functools.cache(lambda slip: self._size(slip, reader)))
        pieces = sum(map(sizes.of, layout.body())) if _size(made) > room else 0
        for _ in range(_ATTEMPTS):
            if (excess := _size(made) - room) <= 0:
                return made
            pieces -= excess
            made = self.render(Layout(chosen, *fit(chosen, sizes, pieces)), reader)
        raise RenderError("The mail would be too long: mailbox providers cut or refuse it.")

    def _values(self, kind: str, layout: Layout, reader: Reader) -> dict[str, object]:
        names = [self._words.short(section.category) for section in layout.chosen]
        count = sum(len(section.article_ids) + section.more for section in layout.chosen)
        rows = self._joined(kind, layout.rows(), reader)
        return {
            **self._shared,
            "reader": reader,
            "opening": opening(names, count, self._language),
            "contents": Markup(  # noqa: S704  (rendered by templates that escape)
                self._paper.plain(f"digest/contents.{kind}", **self._shared, reader=reader, rows=rows) if rows else ""
            ),
            "articles": self._joined(kind, layout.body(), reader),
        }

    def _joined(self, kind: str, pieces: Sequence[Slip], reader: Reader) -> Markup:
        return Markup("".join(self._piece(kind, slip, reader) for slip in pieces))  # noqa: S704  (likewise)

    def _piece(self, kind: str, slip: Slip, reader: Reader) -> str:
        values = self._words.on(slip)
        return self._paper.plain(f"digest/{slip.template}.{kind}", reader=reader, **self._shared, **values)

    def _size(self, slip: Slip, reader: Reader) -> int:
        html = self._paper.styled(self._piece("html", slip, reader))
        return _size((self._piece("txt", slip, reader), html))


@dataclass(frozen=True, slots=True)
class FullSheet:
    """The sheet of templates that asked to be rendered in full: it shares nothing but what goes into the mail."""

    press: FullPress
    chosen: Sequence[Section]
    fields: Sequence[Field]
    subject: Callable[[int, Reader], SubjectLine]
    inert: PersonalLinks | None
    room: int

    def message(self, post: Envelope, links: PersonalLinks, name: str = "", signer: Signer | None = None) -> Message:
        """Return one reader's mail. Raises RenderError if it cannot be made as the standards want it."""
        links = self.inert or links
        recipient = address(post.to)
        mail = self.rendered(links, name)
        subject = headers.unstructured("Subject", mail.subject)
        fields = (*self.fields, subject, *personal.fields(personal.head(recipient, post, links)))
        return message.build(post, recipient, fields, encode(mail.text), encode(mail.html), signer)

    def rendered(self, links: PersonalLinks, name: str = "") -> Rendered:
        """Return the words of one reader's mail."""
        reader = self.press.reader(name, self.inert or links, self.chosen)
        line = self.subject(self.chosen[0].article_ids[0], reader).of(None)
        return Rendered(line, *self.press.fitted(self.chosen, reader, self.room), in_full=True)


def _size(parts: tuple[str, str]) -> int:
    return sum(len(encode(part)) for part in parts)
