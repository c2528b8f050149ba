"""Composing a run's digests: the run's frozen articles, each reader's selection, one composer per language and zone."""

import datetime
from collections import OrderedDict
from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.audience.models import Cadence, Subscriber
from newsletter.content.models import Article, Category, Source
from newsletter.delivery.composing import Compose, Due, envelope, facts, suppressed
from newsletter.delivery.models import Mailing, Reason
from newsletter.digests import returning
from newsletter.digests.arranging import Selection
from newsletter.digests.models import Run
from newsletter.digests.selection import Selector
from newsletter.foundation.links import Link
from newsletter.foundation.services import Services
from newsletter.mail.digest import DigestComposer
from newsletter.mail.shapes import (
    ArticleCard,
    CategoryFacts,
    DigestFrame,
    Marking,
    Message,
    PersonalLinks,
    ReaderPart,
    Section,
)
from newsletter.publication import identity

_COMPOSERS: Final = 24
"""Frames kept at a time (languages times zones); each holds the run's articles once."""


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
        self._made: OrderedDict[tuple[str, str, Marking], DigestComposer] = OrderedDict()

    def composer(self, language: str, zone: str, marking: Marking = Marking.NONE) -> DigestComposer:
        """Return the composer for a language and zone, made now or kept."""
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

    def sections(self, selection: Selection) -> list[Section]:
        """Return a selection in the mail room's terms."""
        return [Section(self.slugs[part.category_id], part.article_ids, part.more) for part in selection.sections]


class RunComposer:
    """Composes the digests of one run."""

    def __init__(self, session: Session, mailing: Mailing, tools: Services) -> None:
        assert mailing.run_id is not None
        self._mailing, self._tools = mailing, tools
        self._run = session.get_one(Run, mailing.run_id)
        self._selector = Selector(session, self._run)
        self._publication = identity.load(session)
        self._frames = Frames(
            session, self._run.cadence, f"run-{self._run.id}", self._run.created_at, self._selector.article_ids
        )
        self._domain = self._frames.facts.digest_from.rpartition("@")[2]

    def prepare(self, session: Session, rows: Sequence[Due], now: datetime.datetime) -> dict[int, Compose | Reason]:
        """Look once more at each reader, and choose what they get."""
        wanted = {row.subscriber_id: row for row in rows if row.subscriber_id is not None}
        prepared: dict[int, Compose | Reason] = {row.id: Reason.LEFT for row in rows}
        readers = session.execute(
            select(
                Subscriber.id,
                Subscriber.address,
                Subscriber.name,
                Subscriber.language,
                Subscriber.timezone,
                Subscriber.paused_at,
                suppressed().label("suppressed"),
            ).where(Subscriber.id.in_(wanted), Subscriber.confirmed_at.is_not(None))
        ).all()
        selections = self._selector.select(session, [(key, row.after_number) for key, row in wanted.items()])
        for reader in readers:
            row = wanted[reader.id]
            selection = selections.get(reader.id)
            if reader.suppressed:
                prepared[row.id] = Reason.SUPPRESSED
            elif reader.paused_at is not None:
                prepared[row.id] = Reason.PAUSED
            elif selection is None or not selection.sections:
                prepared[row.id] = Reason.LEFT
            else:
                prepared[row.id] = self._compose(
                    row, reader.address, reader.name, reader.language, reader.timezone, selection, now
                )
        # What was never offered has not reached them: the digest after the pause brings it.
        paused = [row for row in wanted.values() if prepared[row.id] is Reason.PAUSED and row.offered_at is None]
        if paused:
            returning.give_back(session, self._run, [(row.subscriber_id, row.after_number) for row in paused])
        for row in rows:
            if row.copy_address is not None:
                prepared[row.id] = self._copy(row, row.copy_address, now)
        return prepared

    def _compose(
        self,
        row: Due,
        address: str,
        name: str,
        language: str,
        zone: str,
        selection: Selection,
        now: datetime.datetime,
    ) -> Compose:
        assert row.subscriber_id is not None
        cadence_id, subscriber_id, links = self._run.cadence_id, row.subscriber_id, self._tools.links

        def compose() -> Message:
            personal = PersonalLinks(
                one_click=links.make(Link.ONE_CLICK, subscriber_id, cadence_id, row.id),
                leave=links.make(Link.LEAVE, subscriber_id, cadence_id, row.id),
                preferences=links.make(Link.PREFERENCES, subscriber_id, cadence_id, row.id),
                mailto=self._mailto(subscriber_id, row.id),
            )
            part = ReaderPart(self._frames.sections(selection), personal, name)
            post = envelope(self._tools, self._mailing, row, address, self._domain, now)
            return self._frames.composer(language, zone).compose(part, post)

        return compose

    def _copy(self, row: Due, address: str, now: datetime.datetime) -> Compose:
        return lambda: self._frames.composer(
            self._publication.language, self._publication.timezone, Marking.COPY
        ).compose(
            ReaderPart(
                self._frames.sections(self._selector.select_copy()),
                PersonalLinks.inert(self._publication.site_url),
            ),
            envelope(self._tools, self._mailing, row, address, self._domain, now),
        )

    def _mailto(self, subscriber_id: int, delivery_id: int) -> str:
        inbound = self._tools.settings.inbound_address
        if not inbound:
            return ""
        local, _, domain = inbound.rpartition("@")
        token = self._tools.links.token(Link.ONE_CLICK, subscriber_id, self._run.cadence_id, delivery_id)
        return f"mailto:{local}+{token}@{domain}"


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
