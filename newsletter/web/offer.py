"""What can be chosen here today: categories, cadences, and the words that are agreed to."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from flask import g
from sqlalchemy import select

from newsletter.audience import cadences, consent
from newsletter.audience.models import Cadence
from newsletter.content import categories
from newsletter.content.models import Category
from newsletter.foundation.db import db, transaction
from newsletter.publication import affiliates
from newsletter.publication.models import Affiliate
from newsletter.web import wording
from newsletter.web.frame import language, publication


@dataclass(frozen=True)
class Offer:
    """All that a form shows, in the site's order."""

    categories: Sequence[Category]
    cadences: Sequence[Cadence]
    affiliates: Sequence[Affiliate]
    words: Sequence[consent.Words]
    """The newsletter's first."""

    @property
    def privacy(self) -> consent.Words:
        """The words without which nothing is sent."""
        return self.words[0]

    def partners(self) -> list[tuple[Affiliate, consent.Words]]:
        """Return each affiliate with its words."""
        by_slug = {words.affiliate: words for words in self.words}
        return [(one, by_slug[one.slug]) for one in self.affiliates]


def now_offered(also_affiliates: Collection[str] = (), also_categories: Collection[int] = ()) -> Offer:
    """Return what is offered, and besides what a reader holds of things that are offered no more."""
    session = db.session()
    paces = cadences.listed(session)
    topics = [
        one for one in categories.listed(session, archived=True) if one.archived_at is None or one.id in also_categories
    ]
    partners = affiliates.listed(session)
    if missing := set(also_affiliates) - {one.slug for one in partners}:
        partners += session.scalars(select(Affiliate).where(Affiliate.slug.in_(missing)).order_by(Affiliate.name))
    words = consent.find_texts(session, publication(), partners, language())
    if words is None:
        # Once for each new wording and language, whoever looks first: what is shown must be provable afterwards. What
        # is stored is ours to the letter, whoever asks, and no reader's state.
        with transaction() as writing:
            words = consent.current_texts(writing, publication(), partners, language(), g.now)
    return Offer(topics, paces, partners, words)


def categories_of(ids: Collection[int]) -> Sequence[Category]:
    """Return categories by id, in the site's order."""
    return [one for one in categories.listed(db.session(), archived=True) if one.id in ids]


def category_names() -> dict[int, str]:
    """Return the names of all categories by id, in the site's order."""
    return {one.id: one.name for one in categories.listed(db.session(), archived=True)}


def cadence_names() -> dict[int, str]:
    """Return the names of all cadences by id, in the site's order."""
    return {cadence.id: wording.pace(cadence) for cadence in cadences.listed(db.session(), archived=True)}
