"""Third parties that readers may consent to, each by its name and in a box of its own (GDPR art. 7(2), rec. 42)."""

import datetime
import re

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.foundation.errors import ConflictError, InvalidError, NotFoundError
from newsletter.publication.models import Affiliate


def listed(session: Session) -> list[Affiliate]:
    """Return those that are offered, by name."""
    return list(session.scalars(select(Affiliate).where(Affiliate.archived_at.is_(None)).order_by(Affiliate.name)))


def add(session: Session, slug: str, name: str) -> Affiliate:
    """Offer one more. Its slug stays, in consent records; raises InvalidError or ConflictError."""
    if not re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)*", slug) or len(slug) > 60:
        raise InvalidError("A short name consists of lower-case letters, digits and hyphens, at most 60.")
    if session.scalar(select(Affiliate.id).where(Affiliate.slug == slug)) is not None:
        raise ConflictError(f"There is an affiliate {slug} already, or was: its consents name it for ever.")
    affiliate = Affiliate(slug=slug, name=_named(name))
    session.add(affiliate)
    session.flush()
    return affiliate


def rename(session: Session, slug: str, name: str) -> Affiliate:
    """Change the name that readers are shown; who consented before consented to the old words. Raises NotFoundError."""
    affiliate = _get(session, slug)
    affiliate.name = _named(name)
    session.flush()
    return affiliate


def archive(session: Session, slug: str, now: datetime.datetime) -> None:
    """Offer it no more; consents that were given stay on record. Raises NotFoundError."""
    affiliate = _get(session, slug)
    affiliate.archived_at = affiliate.archived_at or now
    session.flush()


def _get(session: Session, slug: str) -> Affiliate:
    affiliate = session.scalar(select(Affiliate).where(Affiliate.slug == slug))
    if affiliate is None:
        raise NotFoundError(f"There is no affiliate {slug}.")
    return affiliate


def _named(name: str) -> str:
    tidy = " ".join(name.split())
    if not tidy or len(tidy) > 120:
        raise InvalidError("An affiliate needs a name of at most 120 characters.")
    return tidy
