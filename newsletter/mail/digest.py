"""The digest: one mail per reader with just their categories, composed by assembling.

All that is the same for many readers, the page, each article, each heading, is rendered, inlined and encoded once per
run, language and zone. What readers with the same sections share is decided once, too, and kept as a `Sheet`: a mail is
a join of its bytes with a few of the reader's own.
"""

import html as markup
from collections.abc import Iterable, Sequence
from typing import Final

from newsletter.foundation import languages
from newsletter.foundation.errors import RenderError
from newsletter.mail import headers, personal, readers
from newsletter.mail.addresses import address
from newsletter.mail.assembling import Press
from newsletter.mail.cleaning import clean, prose
from newsletter.mail.dkim import Signer
from newsletter.mail.full import FullPress, FullSheet
from newsletter.mail.personal import Reader
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
from newsletter.mail.sheet import AssembledSheet, Letterhead, Sheet, SubjectLine
from newsletter.mail.slips import TEMPLATES, Words
from newsletter.mail.stationery import stationery

ROOM: Final = 94_000
"""Encoded bytes of both parts: under the providers' 102,000 with the way to leave in the first 95,000 (F9)."""
_FILES: Final = ("digest/subject.txt", *(f"digest/{name}.{kind}" for name in TEMPLATES for kind in ("txt", "html")))
_SAMPLES: Final = ("", 'Anna-Maria <d’Été> & "Söhne"')
"""Names that a template is tried with."""


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
        self._words = Words(facts, frame, categories, cards)
        self._shared = {
            "date": languages.day(frame.at, frame.zone, frame.language),
            "cadence": prose(languages.named(frame.cadence_name, frame.language), 80),
            "marking": frame.marking.value,
        }
        self.renders_in_full = self._paper.is_full(_FILES)
        """Whether a template asked to be rendered anew for each reader (see readers.py)."""
        given = self._paper, self._words, self._shared, frame.language
        self._full = FullPress(*given)
        self._press = None if self.renders_in_full else Press(*given, ROOM)
        self._inert = None if frame.marking is Marking.NONE else PersonalLinks.inert(facts.site_url)
        self._letterheads: dict[int, Letterhead] = {}
        self._is_proven = self._paper.is_ours
        self._fields = (
            headers.mailbox("From", facts.name, address(facts.digest_from)),
            headers.mailbox("Reply-To", facts.name, address(facts.contact_address)),
            headers.structured("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            headers.list_id(f"{facts.name}: {frame.cadence_name}", frame.cadence_slug, facts.list_domain),
            *headers.list_facts(facts.contact_address, facts.site_url, facts.signup_url),
            headers.feedback_id(frame.issue, frame.cadence_slug, "digest", facts.sender_id),
            headers.structured("Precedence", "bulk"),
            headers.structured("X-Auto-Response-Suppress", "OOF, AutoReply"),
        )

    def sheet(self, sections: Sequence[Section]) -> Sheet:
        """Return what all readers with `sections` share. Raises RenderError if there can be no such mail."""
        chosen = [section for section in sections if section.article_ids]
        if not chosen:
            raise RenderError("There is nothing new to send to this reader.")
        if self._press is None:
            return FullSheet(self._full, chosen, self._fields, self._subject, self._inert, ROOM)
        if not self._is_proven:
            self._prove(self._press, chosen)
        return self._assembled(self._press, chosen)

    def compose(self, reader: ReaderPart, post: Envelope, signer: Signer | None = None) -> Message:
        """Return the message for one reader. Raises RenderError if it cannot be made as the standards want it."""
        return self.sheet(reader.sections).message(post, reader.links, reader.name, signer)

    def render(self, reader: ReaderPart) -> Rendered:
        """Return what `compose` encodes, for a preview. Raises RenderError as `compose` does."""
        return self.sheet(reader.sections).rendered(reader.links, reader.name)

    def _assembled(self, press: Press, chosen: Sequence[Section]) -> AssembledSheet:
        lead = chosen[0].article_ids[0]
        letterhead = self._letterheads.get(lead)
        if letterhead is None:
            letterhead = self._letterheads[lead] = Letterhead(self._fields, self._subject(lead, readers.MARKED))
        return AssembledSheet(self._frame.language, letterhead, press.body(chosen), self._inert)

    def _subject(self, lead: int, reader: Reader) -> SubjectLine:
        words = self._paper.plain(
            "digest/subject.txt",
            headline=self._words.title(lead),
            subject_text=clean(self._frame.subject_text, 100),
            reader=reader,
            **self._shared,
        )
        test = languages.catalogue(self._frame.language).gettext("[Test] %(subject)s")
        frame = test if self._frame.marking is Marking.TEST else "%(subject)s"
        return SubjectLine(words, f"{self._facts.name}: {self._shared['date']}", frame)

    def _prove(self, press: Press, chosen: Sequence[Section]) -> None:
        """Compare what is assembled with a full render of the same readers; raise RenderError if they differ.

        Styles that reach from one piece into another, or a card that is no whole element, come out otherwise.
        """
        layout, sheet = press.layout(chosen), self._assembled(press, chosen)
        links = PersonalLinks.inert(self._facts.site_url)
        for name in _SAMPLES:
            assembled = sheet.rendered(links, name)
            text, html = self._full.render(layout, personal.reader(name, links, self._frame.language))
            for kind, ours, theirs in (("txt", assembled.text, text), ("html", assembled.html, html)):
                if why := _difference(markup.unescape(ours), markup.unescape(theirs)):
                    raise RenderError(
                        f"The templates email/digest/*.{kind} come out otherwise when rendered piece by piece: {why}. "
                        "Let each piece be whole elements with styles of single classes, or write {# reader: full #} "
                        "at the top of one."
                    )
        self._is_proven = True


def _difference(one: str, other: str) -> str:
    """Return where two texts part, in words; empty if they do not."""
    if one == other:
        return ""
    at = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    start = max(0, at - 20)
    theirs, ours = (" ".join(words[start : at + 30].split()) for words in (one, other))
    return f"“{theirs}” instead of “{ours}”"
