"""What operators do to what goes out: lead, leave out, hold, withdraw; and hold a whole period's digest."""

import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from newsletter.content.models import Article
from newsletter.content.numbering import number_waiting
from newsletter.content.numbers import lock_counter, take_numbers
from newsletter.digests.models import Hold, LeftOut
from newsletter.foundation.db import insert_new
from newsletter.foundation.errors import ConflictError, NotFoundError


def pin(session: Session, article_id: int, now: datetime.datetime) -> Article:
    """Let the article lead the digests it is in; of several pinned ones the last does. Raises NotFoundError."""
    article = _article(session, article_id)
    article.pinned_at = now
    return article


def unpin(session: Session, article_id: int) -> Article:
    """Let the article stand in its order again. Raises NotFoundError."""
    article = _article(session, article_id)
    article.pinned_at = None
    return article


def leave_out(session: Session, cadence_id: int, article_id: int, now: datetime.datetime) -> None:
    """Keep the article out of the cadence's digests that are not opened yet. Raises NotFoundError."""
    _settled(session, article_id)
    values = {"cadence_id": cadence_id, "article_id": article_id, "created_at": now}
    session.execute(insert_new(session, LeftOut).values(values))


def put_back(session: Session, cadence_id: int, article_id: int) -> None:
    """Take the leaving out back. A digest that has passed the article meanwhile does not turn round for it."""
    _settled(session, article_id)
    session.execute(delete(LeftOut).where(LeftOut.cadence_id == cadence_id, LeftOut.article_id == article_id))


def hold(session: Session, article_id: int, now: datetime.datetime) -> Article:
    """Keep the article back until it is released, also from those mails of an opened run that are not made yet.

    Raises NotFoundError, and ConflictError for one that was withdrawn.
    """
    article = _settled(session, article_id)
    if article.withdrawn_at is not None:
        raise ConflictError("This article was withdrawn.")
    article.held_at = article.held_at or now
    return article


def release(session: Session, article_id: int, now: datetime.datetime) -> Article:
    """Let a held article go out: with the next digest, if none carried it before.

    Digests may have passed its place while it was held, so it gets a new one; but readers who had it must not get it
    again, so one that a digest has carried keeps its own. One that still waits for its date gets its number then.
    Raises NotFoundError.
    """
    article = _settled(session, article_id)
    if article.held_at is None:
        return article
    article.held_at = None
    if article.number is None:
        number_waiting(session, now)
    elif article.digested_at is None and article.withdrawn_at is None:
        article.number = take_numbers(session, 1)[0]
    return article


def withdraw(session: Session, article_id: int, now: datetime.datetime) -> Article:
    """Never send the article again, nor with mails of an opened run that are not made yet. Raises NotFoundError."""
    article = _settled(session, article_id)
    article.withdrawn_at = article.withdrawn_at or now
    return article


def hold_digest(session: Session, cadence_id: int, period: str, operator: str, now: datetime.datetime) -> None:
    """Let the cadence's digest of a period (`2026-11-23`) wait: until released, or until it is too late for it."""
    try:
        datetime.date.fromisoformat(period)
    except ValueError:
        raise NotFoundError(f"There is no digest of {period!r}: name a date, such as 2026-11-23.") from None
    values = {"cadence_id": cadence_id, "period": period, "created_at": now, "created_by": operator}
    session.execute(insert_new(session, Hold).values(values))


def release_digest(session: Session, cadence_id: int, period: str) -> None:
    """Let a held digest go out, if it is not too late; nothing happens to one that is not held."""
    session.execute(delete(Hold).where(Hold.cadence_id == cadence_id, Hold.period == period))


def _article(session: Session, article_id: int) -> Article:
    found = session.scalars(
        select(Article).where(Article.id == article_id).execution_options(populate_existing=True)
    ).one_or_none()
    if found is None:
        raise NotFoundError("There is no such article.")
    return found


def _settled(session: Session, article_id: int) -> Article:
    """Return the article once no run is being opened: what is changed then lies wholly before a run or after it."""
    lock_counter(session)
    return _article(session, article_id)
