"""The values that go into a mail and come out of it. All frozen, all plain: whoever calls fills them from tables."""

import datetime
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from newsletter.foundation.errors import RenderError
from newsletter.mail import senders
from newsletter.mail.dkim import Unsigned
from newsletter.mail.urls import own_url


@dataclass(frozen=True, slots=True)
class PublicationFacts:
    """Who sends. Raises RenderError that names every fact which is missing or would get mail refused."""

    name: str
    """Also the From display name (standards F11)."""
    site_url: str
    postal_address: str
    """Legal name and postal address, one line or several (standards J14)."""
    privacy_url: str
    contact_address: str
    """Reply-To of everything (standards F13)."""
    digest_from: str
    confirmation_from: str
    """Another address than `digest_from` (standards F14)."""
    list_domain: str
    sender_id: str
    """Last field of Feedback-ID (standards L13)."""
    signup_url: str
    """Our page for new readers, for List-Subscribe (standards L12)."""
    accent_light: str = "#8a1c1c"
    accent_dark: str = "#f0a8a0"
    templates: Path | None = None
    """An operator's folder over ours."""

    def __post_init__(self) -> None:
        problems = senders.problems(
            name=self.name,
            postal_address=self.postal_address,
            addresses=(self.contact_address, self.digest_from, self.confirmation_from),
            list_domain=self.list_domain,
            sender_id=self.sender_id,
            colours=(self.accent_light, self.accent_dark),
        )
        if problems:
            raise RenderError("The publication cannot send mail yet. " + " ".join(problems))
        own_url(self.site_url)
        own_url(self.privacy_url)
        own_url(self.signup_url)


@dataclass(frozen=True, slots=True)
class CategoryFacts:
    """A category as a section heading; `url` is its page on the site, where there is one."""

    slug: str
    name: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class ArticleCard:
    """An article as a mail shows it. `title` and `summary` are plain text, not HTML."""

    id: int
    title: str
    url: str
    summary: str = ""
    source_name: str = ""
    published_at: datetime.datetime | None = None
    image_url: str = ""
    image_width: int | None = None
    image_height: int | None = None
    """Pixels of the picture itself, where known."""


class Marking(enum.Enum):
    """What a digest is to the one who gets it. All but a reader's own get links that change nothing."""

    NONE = "none"
    TEST = "test"
    COPY = "copy"


@dataclass(frozen=True, slots=True)
class DigestFrame:
    """What all mails of one run in one language and zone share."""

    language: str
    zone: str
    at: datetime.datetime
    """The instant whose local date stands in the masthead."""
    cadence_slug: str
    cadence_name: str
    issue: str
    """First field of Feedback-ID: names the run, e.g. `run-17`."""
    subject_text: str = ""
    """Empty: the first headline is the subject. Else this text and the date."""
    utm: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    marking: Marking = Marking.NONE


# Named tuples, since they are made or looked up for every mail: three times as quick as a frozen dataclass.


class PersonalLinks(NamedTuple):
    """The links only this reader has: https, or http on this machine."""

    one_click: str
    """For List-Unsubscribe, a POST (RFC 8058)."""
    leave: str
    preferences: str
    mailto: str = ""
    """`mailto:…` for List-Unsubscribe where inbound mail exists."""

    @classmethod
    def inert(cls, url: str) -> "PersonalLinks":
        """Return links that all lead to `url` and so concern nobody."""
        return cls(url, url, url)


class Section(NamedTuple):
    """What one reader gets of one category, in order. `more` counts the new articles that are left to the site."""

    category: str
    """The slug."""
    article_ids: tuple[int, ...]
    more: int = 0


@dataclass(frozen=True, slots=True)
class ReaderPart:
    """What a digest holds for one reader."""

    sections: Sequence[Section]
    links: PersonalLinks
    name: str = ""


class Envelope(NamedTuple):
    """What belongs to one delivery."""

    to: str
    message_id: str
    """With its angle brackets; the same at every attempt (standards F4)."""
    return_path: str
    date: datetime.datetime
    """When it is first offered (standards F3)."""
    signed_at: datetime.datetime | None = None
    """When it is signed: at a later attempt later than its date; a signature expires."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail before it is encoded: what a preview shows."""

    subject: str
    text: str
    html: str
    in_full: bool = False
    """Whether it was rendered for this reader alone, because a template asked for it."""


class Message(NamedTuple):
    """A mail as the SMTP client takes it: the envelope, and what stands between DATA and the final dot."""

    return_path: str
    recipient: str
    """With its domain as A-labels."""
    smtputf8: bool
    """Whether the next hop must offer SMTPUTF8 (RFC 6531)."""
    pieces: Sequence[bytes]
    """Its bytes in order, dots doubled; most of them are shared with other mails, and nobody puts them together."""
    unsigned: Unsigned | None = None
    """What comes in front when it has been signed, if it is to be."""

    def signed(self) -> "Message":
        """Return it with its signature."""
        if self.unsigned is None:
            return self
        return self._replace(pieces=(self.unsigned.by_itself(), *self.pieces), unsigned=None)

    @property
    def content(self) -> bytes:
        """The whole, signed."""
        return b"".join(self.signed().pieces)
