"""What all readers with the same sections share, ready to be joined with what is their own.

A sheet is decided once: first line, contents, what fits, subject, header fields. It is kept as a few long pieces of
bytes with places between, so that a reader's mail is little more than one join.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from newsletter.foundation.errors import RenderError
from newsletter.mail import headers, message, personal
from newsletter.mail.addresses import address
from newsletter.mail.cleaning import subject
from newsletter.mail.dkim import SharedHead, Signer
from newsletter.mail.fragments import fill, has_slots
from newsletter.mail.headers import Field
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
        self._besides = (*(("Subject",) if self.is_personal else ()), *personal.HEADERS)
        self._signed: tuple[Signer, SharedHead] | None = None
        message.check(self.fields, besides=self._besides)
        if len(self.wire) > _MAX_SHARED:
            raise RenderError("The mail's headers would be too long: mailbox providers refuse them.")

    def signed_by(self, signer: Signer) -> SharedHead:
        """Return what the signatures of these mails share, made once as long as the keys are the same."""
        if self._signed is None or self._signed[0] is not signer:
            self._signed = signer, signer.head(self.fields, self._besides)
        return self._signed[1]


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
        letterhead = self.letterhead
        more: tuple[Field, ...] = ()
        if letterhead.is_personal:
            subject = headers.unstructured("Subject", self._subject(links, name))
            parts[0], more = subject.line, (subject,)
        unsigned = None
        if signer is not None:
            digest = hashlib.sha256(b"".join(parts[_HEAD:])).digest()
            besides = (*more, *personal.fields(head))
            unsigned = letterhead.signed_by(signer).unsigned(besides, digest, post.signed_at or post.date)
        return Message(post.return_path, recipient.wire, recipient.smtputf8, parts, unsigned)

    def rendered(self, links: PersonalLinks, name: str = "") -> Rendered:
        """Return the words of one reader's mail, read from its very bytes."""
        links = self.inert or links
        own, parts = personal.own(name, links, self.language), self.body.parts.copy()
        for at, what in self.body.places:
            parts[at] = own[what]
        return Rendered(self._subject(links, name), *message.words(b"".join(parts)))

    def _subject(self, links: PersonalLinks, name: str) -> str:
        if not self.letterhead.is_personal:
            return self.letterhead.subject
        return self.letterhead.line.of(personal.reader(name, links, self.language))
