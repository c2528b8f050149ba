"""What all readers with the same sections share, ready to be joined with what is their own.

A sheet is decided once: first line, contents, what fits, subject, header fields. It is kept as a few long pieces of
bytes with places between, so that a reader's mail is little more than one join.
"""

import datetime
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from newsletter.foundation.errors import RenderError
from newsletter.mail import headers, message, personal
from newsletter.mail.addresses import address
from newsletter.mail.cleaning import subject
from newsletter.mail.fragments import fill, has_slots
from newsletter.mail.headers import Field
from newsletter.mail.message import Signer
from newsletter.mail.personal import Reader
from newsletter.mail.shapes import Envelope, Message, PersonalLinks, Rendered

_HEAD: Final = 4
"""Pieces of a mail before its body: fields of the reader's own, shared ones, personal ones, the empty line."""
_MAX_SHARED: Final = 8_000
"""Bytes of the shared header fields, so that with the personal ones and a signature it are at most 10,000 (F10)."""


class SubjectLine(NamedTuple):
    """A digest's subject, which may hold slots."""

    words: str
    fallback: str
    """Where nothing is left of `words`."""
    frame: str
    """`%(subject)s`, or what a test puts around it."""

    def of(self, reader: Reader | None) -> str:
        """Return the line, never empty, never a pretended reply (standards F12)."""
        words = fill(self.words, {field: getattr(reader, field) for field in personal.FIELDS}) if reader else self.words
        return self.frame % {"subject": subject(words, self.fallback)}


class Letterhead:
    """The header fields that all mails of a sheet share; they are checked here, once."""

    def __init__(self, fields: Sequence[Field], line: SubjectLine) -> None:
        """Raise RenderError if the fields do not come out as they are meant."""
        self.line = line
        self.is_personal = has_slots(line.words)
        """Whether the subject comes to each message by itself."""
        if not self.is_personal:
            self.subject = line.of(None)
            fields = (*fields, headers.unstructured("Subject", self.subject))
        self.fields = (*fields, *message.FIXED)
        self.wire = b"".join([field.line for field in self.fields])
        message.check(self.fields, besides=(*personal.HEADERS, *(("Subject",) if self.is_personal else ())))
        if len(self.wire) > _MAX_SHARED:
            raise RenderError("The mail's headers would be too long: mailbox providers refuse them.")


class Sheet(Protocol):
    """Makes the mails of readers with the same sections."""

    def message(self, post: Envelope, links: PersonalLinks, name: str = "", signer: Signer | None = None) -> Message:
        """Return one reader's mail. Raises RenderError if it cannot be made as the standards want it."""

    def rendered(self, links: PersonalLinks, name: str = "") -> Rendered:
        """Return the words of one reader's mail, for a preview."""


class Body(NamedTuple):
    """A body as pieces, which other sheets share."""

    parts: list[bytes]
    places: list[tuple[int, int]]
    """Where in `parts`, in order, which of `personal.own` comes in."""


@dataclass(slots=True, eq=False)  # not frozen: with as many sets as readers, each mail makes one
class AssembledSheet:
    """The sheet of templates that say no more of a reader than they may (see readers.py)."""

    language: str
    letterhead: Letterhead
    body: Body
    inert: PersonalLinks | None
    """What stands instead of anybody's links in tests and copies."""

    def message(self, post: Envelope, links: PersonalLinks, name: str = "", signer: Signer | None = None) -> Message:
        """Return one reader's mail: little more than a join. Raises RenderError for a malformed link or address."""
        parts, places = self.body
        if self.inert is not None:
            links = self.inert
        recipient = address(post.to)
        head = personal.head(recipient, post, links)
        own = personal.own(name, links, self.language)
        parts = [b"", self.letterhead.wire, head, b"\r\n", *parts]
        for at, what in places:
            parts[_HEAD + at] = own[what]
        if signer is not None or self.letterhead.is_personal:
            parts[0] = self._before(head, parts[_HEAD:], links, name, signer, post.signed_at or post.date)
        return Message(post.return_path, recipient.wire, recipient.smtputf8, b"".join(parts))

    def rendered(self, links: PersonalLinks, name: str = "") -> Rendered:
        """Return the words of one reader's mail, read from its very bytes."""
        links = self.inert or links
        own, parts = personal.own(name, links, self.language), self.body.parts.copy()
        for at, what in self.body.places:
            parts[at] = own[what]
        return Rendered(self._subject(links, name), *message.words(b"".join(parts)))

    def _before(
        self,
        head: bytes,
        body: Sequence[bytes],
        links: PersonalLinks,
        name: str,
        signer: Signer | None,
        at: datetime.datetime,
    ) -> bytes:
        """Return the fields that stand first: signatures, and a subject of the reader's own."""
        own = [headers.unstructured("Subject", self._subject(links, name))] if self.letterhead.is_personal else []
        if signer is None:
            return own[0].line
        digest = hashlib.sha256(b"".join(body)).digest()
        signatures = signer.sign([*own, *self.letterhead.fields, *personal.fields(head)], digest, at)
        return b"".join([field.line for field in (*signatures, *own)])

    def _subject(self, links: PersonalLinks, name: str) -> str:
        if not self.letterhead.is_personal:
            return self.letterhead.subject
        return self.letterhead.line.of(personal.reader(name, links, self.language))
