"""Composing a run's digests: the run's frozen articles, each reader's selection, one composer per language and zone."""

import datetime
from collections import OrderedDict
from collections.abc import Collection
from functools import partial
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Select, bindparam, case, select
from sqlalchemy.orm import Session

from newsletter.audience.models import Cadence, Subscriber
from newsletter.content.models import Article, Category, Source
from newsletter.delivery.composing import Compose, Prepared, Stamps, facts, suppressed, upcoming
from newsletter.delivery.models import Delivery, Mailing, Reason
from newsletter.delivery.signing import signer_for
from newsletter.digests import returning
from newsletter.digests.arranging import Selection
from newsletter.digests.models import Run
from newsletter.digests.selection import NOTHING, Selector
from newsletter.foundation.errors import RenderError
from newsletter.foundation.services import Services
from newsletter.mail.digest import DigestComposer
from newsletter.mail.dkim import Signer
from newsletter.mail.shapes import (
    ArticleCard,
    CategoryFacts,
    DigestFrame,
    Marking,
    Message,
    PersonalLinks,
    Section,
)
from newsletter.mail.sheet import Sheet
from newsletter.publication import identity

_SHEETS: Final = 1_000
"""Sheets kept at a time; each is some 3 kB, for the bytes are those of its frame."""
_LOOK_AGAIN: Final = datetime.timedelta(seconds=0.5)
"""How often to look whether articles were withdrawn or are held, and which keys sign."""
_COMPOSERS: Final = 24
"""Frames kept at a time (languages times zones that differ); each holds the run's articles once."""


class Frames:
    """The shared part of a cadence's digests, made once per language, zone and marking as they are asked for."""

    def __init__(
        self, session: Session, cadence: Cadence, issue: str, at: datetime.datetime, article_ids: Collection[int]
    ) -> None:
        self.facts = facts(session)
        self._cadence, self._issue, self._at = cadence, issue, at
        self._cards = cards(session, article_ids)
        self.slugs: dict[int, str] = {}
        self._categories = []
        for category in session.scalars(select(Category).order_by(Category.position, Category.id)):
            self.slugs[category.id] = category.slug
            self._categories.append(CategoryFacts(category.slug, category.name, category.url))
        self._instants = {at, *(card.published_at for card in self._cards if card.published_at)}
        self._zones: dict[str, str] = {}
        self._by_offsets: dict[tuple[datetime.timedelta | None, ...], str] = {}
        self._made: OrderedDict[tuple[str, str, Marking], DigestComposer] = OrderedDict()
        self._sheets: dict[tuple[str, str, Marking, int], tuple[Selection, Sheet]] = {}

    def composer(self, language: str, zone: str, marking: Marking = Marking.NONE) -> DigestComposer:
        """Return the composer for a language and zone, made now or kept."""
        zone = self._zone(zone)
        key = (language, zone, marking)
        made = self._made.pop(key, None)
        if made is None:
            frame = DigestFrame(
                language=language,
                zone=zone,
                at=self._at,
                cadence_slug=self._cadence.slug,
                cadence_name=self._cadence.name,
                issue=self._issue,
                subject_text=self._cadence.subject_text,
                utm=self._cadence.utm,
                marking=marking,
            )
            made = DigestComposer(self.facts, frame, self._categories, self._cards)
        self._made[key] = made
        if len(self._made) > _COMPOSERS:
            self._made.popitem(last=False)
        return made

    def sheet(
        self, language: str, zone: str, selection: Selection, marking: Marking = Marking.NONE
    ) -> tuple[Selection, Sheet]:
        """Return the sheet of a selection, with it, made now or kept. Raises RenderError."""
        zone = self._zone(zone)
        key = (language, zone, marking, id(selection))
        kept = self._sheets.get(key)
        if kept is None or kept[0] is not selection:
            if len(self._sheets) >= _SHEETS:
                self._sheets.clear()
            sheet = self.composer(language, zone, marking).sheet(self.sections(selection))
            kept = self._sheets[key] = (selection, sheet)
        return kept

    def _zone(self, zone: str) -> str:
        """Return the first zone whose clocks show the same at all times that a mail tells: their mails are the same.

        Who is due at once mostly lives in such zones, Europe/Berlin and Europe/Paris.
        """
        alike = self._zones.get(zone)
        if alike is None:
            clock = ZoneInfo(zone)
            offsets = tuple(when.astimezone(clock).utcoffset() for when in self._instants)
            alike = self._zones[zone] = self._by_offsets.setdefault(offsets, zone)
        return alike

    def sections(self, selection: Selection) -> list[Section]:
        """Return a selection in the mail room's terms."""
        return [Section(self.slugs[part.category_id], part.article_ids, part.more) for part in selection.sections]


class RunComposer:
    """Composes the digests of one run."""

    def __init__(self, session: Session, mailing: Mailing, tools: Services) -> None:
        assert mailing.run_id is not None
        self._tools = tools
        self._run = session.get_one(Run, mailing.run_id)
        self._selector = Selector(session, self._run)
        self._looked_at = self._run.created_at
        self._publication = identity.load(session)
        self._frames = Frames(
            session, self._run.cadence, f"run-{self._run.id}", self._run.created_at, self._selector.article_ids
        )
        self.sender, self.stream = self._frames.facts.digest_from, self._run.cadence.slug
        self._stamps = Stamps(tools, mailing, self.sender)
        self._cadence_id, self._links = self._run.cadence_id, tools.links
        self._signer = signer_for(session, tools.vault, self.sender)
        self._inbox = tools.settings.inbound_address.rpartition("@")
        self._recipients = _recipients(self._selector)
        own = self._publication
        self.full = self._frames.composer(own.language, own.timezone).renders_in_full

    @property
    def signs(self) -> bool:
        """As the Composer's."""
        return self._signer is not None

    def prepare(
        self, session: Session, chunk_id: int, after_id: int, limit: int, now: datetime.datetime
    ) -> list[Prepared]:
        """Look once more at each reader, and choose what they get."""
        if now - self._looked_at > _LOOK_AGAIN:
            self._selector.look_for_stopped(session)
            self._signer = signer_for(session, self._tools.vault, self.sender)
            self._looked_at = now
        due = {"chunk_id": chunk_id, "after_id": after_id, "limit": limit}
        rows = session.connection().execute(self._recipients, due).all()
        had = self._selector.had(session, [row[1] for row in rows])
        prepared, paused = [], []
        for delivery_id, subscriber_id, after, offered_at, copy, who, name, language, zone, may, waits, taken in rows:
            make: Compose | Reason
            if copy is not None:
                make = self._copy(delivery_id, copy, offered_at, now)
            elif who is None or may is None:
                make = Reason.LEFT
            elif not may:
                make = Reason.SUPPRESSED
            elif waits:
                make = Reason.PAUSED
                if offered_at is None:
                    paused.append((subscriber_id, after))
            elif selection := self._selector.selection(taken, after, had.get(subscriber_id, NOTHING)):
                make = self._letter(delivery_id, subscriber_id, who, name, language, zone, selection, offered_at, now)
            else:
                make = Reason.LEFT
            prepared.append(Prepared(delivery_id, make, (copy or who or "").rpartition("@")[2]))
        if paused:  # what was never offered has not reached them: the digest after the pause brings it
            returning.give_back(session, self._run, paused)
        return prepared

    def _letter(
        self,
        delivery_id: int,
        subscriber_id: int,
        address: str,
        name: str,
        language: str,
        zone: str,
        selection: Selection,
        offered_at: datetime.datetime | None,
        now: datetime.datetime,
    ) -> Compose:
        """Return what makes the mail; its sheet is made now, because what is begun must leave soon."""
        try:
            _, sheet = self._frames.sheet(language, zone, selection)
        except RenderError as error:
            return partial(_cannot, error)
        return partial(self._compose, sheet, delivery_id, subscriber_id, address, name, offered_at, now, self._signer)

    def _compose(
        self,
        sheet: Sheet,
        delivery_id: int,
        subscriber_id: int,
        address: str,
        name: str,
        offered_at: datetime.datetime | None,
        now: datetime.datetime,
        signer: Signer | None,
    ) -> Message:
        one_click, leave, preferences, token = self._links.digest_links(subscriber_id, self._cadence_id, delivery_id)
        links = PersonalLinks(one_click, leave, preferences, self._mailto(token))
        post = self._stamps.envelope(delivery_id, address, offered_at, now)
        return sheet.message(post, links, name, signer)

    def _copy(
        self, delivery_id: int, address: str, offered_at: datetime.datetime | None, now: datetime.datetime
    ) -> Compose:
        publication = self._publication
        try:
            selection = self._selector.select_copy()
            _, sheet = self._frames.sheet(publication.language, publication.timezone, selection, Marking.COPY)
        except RenderError as error:
            return partial(_cannot, error)
        post = self._stamps.envelope(delivery_id, address, offered_at, now)
        return partial(sheet.message, post, PersonalLinks.inert(publication.site_url), "", self._signer)

    def _mailto(self, token: str) -> str:
        return f"mailto:{self._inbox[0]}+{token}@{self._inbox[2]}" if self._inbox[0] else ""


def _cannot(error: RenderError) -> Message:
    raise error


def _recipients(selector: Selector) -> Select[*tuple[Any, ...]]:
    """Select the next deliveries with all that decides about them, one row each; made once per run and process.

    `may`: NULL while the address is not confirmed, else whether it is not suppressed.
    """
    return (
        select(
            Delivery.id,
            Delivery.subscriber_id,
            Delivery.after_number,
            Delivery.offered_at,
            Delivery.copy_address,
            Subscriber.address,
            Subscriber.name,
            Subscriber.language,
            Subscriber.timezone,
            case((Subscriber.confirmed_at.is_not(None), ~suppressed())).label("may"),
            Subscriber.paused_at.is_not(None).label("waits"),
            selector.taken.label("taken"),
        )
        .outerjoin(Subscriber, Subscriber.id == Delivery.subscriber_id)
        .where(*upcoming())
        .order_by(Delivery.id)
        .limit(bindparam("limit"))
    )


def cards(session: Session, article_ids: Collection[int]) -> list[ArticleCard]:
    """Return the articles as mails show them."""
    rows = session.execute(
        select(
            Article.id,
            Article.title,
            Article.url,
            Article.summary,
            Article.published_at,
            Article.first_seen_at,
            Article.image_url,
            Source.title.label("source"),
        )
        .outerjoin(Source, Source.id == Article.source_id)
        .where(Article.id.in_(list(article_ids)))
    )
    return [
        ArticleCard(
            id=row.id,
            title=row.title,
            url=row.url,
            summary=row.summary,
            source_name=row.source or "",
            published_at=row.published_at or row.first_seen_at,
            image_url=row.image_url,
        )
        for row in rows
    ]
