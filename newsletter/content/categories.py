"""Categories: what readers can ask for, in the site's order. A category that has readers is archived, never deleted."""

import datetime
from collections.abc import Sequence
from urllib.parse import urlsplit

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from newsletter.content.models import Category
from newsletter.foundation.errors import ConflictError, InvalidError, NotFoundError
from newsletter.foundation.names import slug_of


def listed(session: Session, *, archived: bool = False) -> list[Category]:
    """Return the categories that are offered, in the site's order; with `archived` all of them."""
    statement = select(Category).order_by(Category.position, Category.id)
    return list(session.scalars(statement if archived else statement.where(Category.archived_at.is_(None))))


def get(session: Session, category_id: int) -> Category:
    """Return one, archived or not. Raises NotFoundError."""
    category = session.get(Category, category_id)
    if category is None:
        raise NotFoundError("There is no such category.")
    return category


def by_slug(session: Session, slug: str) -> Category:
    """Return one, archived or not. Raises NotFoundError."""
    category = session.scalar(select(Category).where(Category.slug == slug))
    if category is None:
        raise NotFoundError(f"There is no category {slug}.")
    return category


def add(session: Session, name: str, *, description: str = "", url: str = "") -> Category:
    """Offer one more, as the last. Its slug is made from the name and stays. Raises InvalidError or ConflictError."""
    name, description, url = _checked(name, description, url)
    slug = slug_of(name)
    if not slug:
        raise InvalidError("A category needs a name with letters or digits.")
    if session.scalar(select(Category.id).where(Category.slug == slug)) is not None:
        raise ConflictError(f"There is a category “{slug}” already, or was. An archived one can be offered again.")
    last = session.scalar(select(func.max(Category.position)))
    position = 0 if last is None else last + 1
    category = Category(slug=slug, name=name, description=description, url=url, position=position)
    session.add(category)
    session.flush()
    return category


def ensure(session: Session, name: str) -> Category:
    """Return the category of this name; add it if there is none."""
    found = session.scalar(select(Category).where(Category.slug == slug_of(name)))
    return found or add(session, name)


def change(session: Session, category_id: int, *, name: str, description: str = "", url: str = "") -> Category:
    """Set what readers see of it. Raises InvalidError or NotFoundError."""
    category = get(session, category_id)
    category.name, category.description, category.url = _checked(name, description, url)
    session.flush()
    return category


def arrange(session: Session, ids: Sequence[int]) -> None:
    """Put the categories `ids` in this order, which is the site's; those not named follow in theirs."""
    found = listed(session, archived=True)
    wanted = {category_id: place for place, category_id in enumerate(ids)}
    ordered = sorted(found, key=lambda category: wanted.get(category.id, len(wanted)))
    for place, category in enumerate(ordered):
        category.position = place
    session.flush()


def move(session: Session, category_id: int, *, up: bool) -> None:
    """Move one a place up or down among those that are offered. Raises NotFoundError."""
    ids = [category.id for category in listed(session)]
    if category_id not in ids:
        raise NotFoundError("There is no such category, or it is archived.")
    old = ids.index(category_id)
    ids.insert(max(0, old - 1) if up else old + 1, ids.pop(old))
    arrange(session, ids)


def archive(session: Session, category_id: int, now: datetime.datetime) -> None:
    """Offer it no more: digests leave it out, readers keep their choice should it come back. Raises NotFoundError."""
    category = get(session, category_id)
    category.archived_at = category.archived_at or now
    session.flush()


def restore(session: Session, category_id: int) -> None:
    """Offer an archived one again. Raises NotFoundError."""
    get(session, category_id).archived_at = None
    session.flush()


def _checked(name: str, description: str, url: str) -> tuple[str, str, str]:
    name, description, url = " ".join(name.split()), " ".join(description.split()), url.strip()
    wrong = []
    if not name or len(name) > 120:
        wrong.append("A category needs a name of at most 120 characters.")
    if len(description) > 300:
        wrong.append("The description has at most 300 characters.")
    if url and not _is_page(url):
        wrong.append("The page must begin with https:// and name a host.")
    if wrong:
        raise InvalidError("\n".join(wrong))
    return name, description, url


def _is_page(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not any(sign.isspace() for sign in url)
