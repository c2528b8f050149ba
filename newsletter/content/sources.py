"""Sources: added after a look at them, paused, retried, removed, and how each is doing."""

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.orm import Session, lazyload

from newsletter.content.models import Article, Backlog, Category, Source, Term
from newsletter.content.numbering import number_waiting
from newsletter.content.numbers import lock_counter
from newsletter.content.pacing import ALARM_AFTER, Health, State, health
from newsletter.content.parsed import ParsedFeed
from newsletter.content.terms import sort_into_categories
from newsletter.content.trying import Fetches, Parses, read_feed
from newsletter.foundation.db import lock_rows
from newsletter.foundation.errors import ConflictError, InvalidError, NotFoundError
from newsletter.foundation.secrets import Vault
from newsletter.foundation.targets import read_target

MAX_TITLE: Final = 300


@dataclass(frozen=True)
class Found:
    """A feed that was found and read."""

    url: str
    """Its own address: what is fetched from now on."""
    feed: ParsedFeed


@dataclass(frozen=True)
class SourceView:
    """A source as operators see it."""

    id: int
    url: str
    title: str
    kind: str
    default_category_id: int | None
    default_category: str
    backlog: Backlog
    health: Health
    created_at: datetime.datetime
    last_attempt_at: datetime.datetime | None
    last_success_at: datetime.datetime | None
    next_attempt_at: datetime.datetime | None
    """None: it is not asked, being paused or gone."""
    last_error: str
    failures: int
    unanswered: int
    """Articles of the backlog about which the operator has not decided yet."""
    unmapped: int
    """Terms that nobody has decided about."""


def look(address: str, fetcher: Fetches, parser: Parses, credentials: tuple[str, str] | None = None) -> Found:
    """Find and read the feed at `address`, or the one that the page there names. To be called outside a transaction.

    An address without a scheme is taken as https. Raises FetchError or ParseError.
    """
    address = address.strip()
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", address):
        address = f"https://{address}"
    url, feed = read_feed(address, fetcher, parser, credentials)
    return Found(url, feed)


def add(
    session: Session,
    found: Found,
    now: datetime.datetime,
    *,
    vault: Vault,
    title: str = "",
    default_category_id: int | None = None,
    backlog: Backlog = Backlog.ASK,
    credentials: tuple[str, str] | None = None,
) -> Source:
    """Add the source that `look` found; it is fetched at once. Raises ConflictError for one that is there already.

    `credentials` are a user name and a password; `title` replaces the feed's own.
    """
    if session.scalar(select(Source.id).where(Source.url == found.url)) is not None:
        raise ConflictError(f"{found.url} is a source already.")
    _check_category(session, default_category_id)
    user, password = credentials or ("", "")
    source = Source(
        url=found.url,
        host=host_of(found.url),
        title=" ".join((title or found.feed.title).split())[:MAX_TITLE],
        kind=found.feed.kind,
        site_url=found.feed.site_url,
        username=user,
        sealed_password=vault.seal(password) if password else "",
        default_category_id=default_category_id,
        backlog=backlog,
        created_at=now,
        next_attempt_at=now,
    )
    session.add(source)
    session.flush()
    return source


def get(session: Session, source_id: int) -> Source:
    """Return one. Raises NotFoundError."""
    source = session.get(Source, source_id)
    if source is None:
        raise NotFoundError("There is no such source.")
    return source


def pause(session: Session, source_id: int, now: datetime.datetime) -> Source:
    """Ask the source no more until it is resumed. Raises NotFoundError."""
    source = locked(session, source_id)
    source.paused_at = source.paused_at or now
    session.flush()
    return source


def resume(session: Session, source_id: int, now: datetime.datetime) -> Source:
    """Ask a paused source again, at once. Raises NotFoundError."""
    source = locked(session, source_id)
    if source.paused_at is not None:
        source.paused_at, source.next_attempt_at = None, now
    session.flush()
    return source


def retry(session: Session, source_id: int, now: datetime.datetime) -> Source:
    """Ask the source as soon as may be, whatever its pace, and also one that was said to be gone.

    Raises NotFoundError, and ConflictError for a paused one.
    """
    source = locked(session, source_id)
    if source.paused_at is not None:
        raise ConflictError("This source is paused. Resume it first.")
    source.gone_at, source.next_attempt_at = None, now
    session.flush()
    return source


def rename(session: Session, source_id: int, title: str) -> Source:
    """Set what the source is called. Raises InvalidError or NotFoundError."""
    source, title = locked(session, source_id), " ".join(title.split())
    if not title or len(title) > MAX_TITLE:
        raise InvalidError(f"A source needs a name of at most {MAX_TITLE} characters.")
    source.title = title
    session.flush()
    return source


def set_default_category(session: Session, source_id: int, category_id: int | None) -> Source:
    """Set where articles go of whose terms none is mapped, also those that have no number yet. Raises NotFoundError."""
    source = locked(session, source_id)
    _check_category(session, category_id)
    lock_counter(session)
    source.default_category_id = category_id
    session.flush()
    sort_into_categories(session, select(Article.id).where(Article.source_id == source_id))
    return source


def remove(session: Session, source_id: int) -> None:
    """Remove the source. Its articles stay, but for those that have no number: they will not go out any more.

    Raises NotFoundError.
    """
    source = locked(session, source_id)
    lock_counter(session)
    session.execute(
        delete(Article)
        .where(Article.source_id == source_id, Article.number.is_(None))
        .execution_options(synchronize_session=False)
    )
    session.delete(source)
    session.flush()


def answer_backlog(session: Session, source_id: int, now: datetime.datetime, *, release: bool) -> int:
    """Let the source's backlog out as new, or keep it as seen; return how many articles are let out.

    Raises NotFoundError, and ConflictError when that was answered before.
    """
    source = locked(session, source_id)
    if source.backlog is not Backlog.ASK:
        raise ConflictError("What this source had at first was decided about before.")
    source.backlog = Backlog.NEW if release else Backlog.SEEN
    session.flush()
    if not release or source.first_imported_at is None:
        return 0
    lock_counter(session)
    backlog = (
        update(Article)
        .where(
            Article.source_id == source_id,
            Article.number.is_(None),
            Article.available_at.is_(None),
            Article.first_seen_at == source.first_imported_at,
        )
        .values(available_at=now)
        .returning(Article.id)
    )
    released = session.scalars(backlog.execution_options(synchronize_session=False)).all()
    number_waiting(session, now)
    return len(released)


def listed(session: Session, now: datetime.datetime) -> list[SourceView]:
    """Return all sources and how they are doing, by name."""
    sources = session.scalars(select(Source).order_by(func.lower(Source.title), Source.id)).unique().all()
    undecided = dict(
        session.execute(
            select(Term.source_id, func.count())
            .where(Term.category_id.is_(None), Term.ignored_at.is_(None))
            .group_by(Term.source_id)
        ).all()
    )
    unanswered = _unanswered(session, sources)
    return [_view(source, now, unanswered, undecided) for source in sources]


def view(session: Session, source_id: int, now: datetime.datetime) -> SourceView:
    """Return one source and how it is doing. Raises NotFoundError."""
    source = get(session, source_id)
    open_terms = select(func.count()).where(
        Term.source_id == source_id, Term.category_id.is_(None), Term.ignored_at.is_(None)
    )
    return _view(source, now, _unanswered(session, [source]), {source_id: session.scalar(open_terms) or 0})


@dataclass(frozen=True)
class Trouble:
    """A source that an operator should look after."""

    source_id: int
    since: datetime.datetime
    sentence: str


def failing_for_days(session: Session, now: datetime.datetime) -> list[Trouble]:
    """Return the sources that have failed for a day or more, or are gone for good (standards I13)."""
    since = func.coalesce(Source.last_success_at, Source.created_at)
    failing = select(Source).where(
        Source.paused_at.is_(None),
        Source.gone_at.is_not(None) | ((Source.failures > 0) & (since <= now - ALARM_AFTER)),
    )
    return [
        Trouble(
            source.id,
            source.gone_at or source.last_success_at or source.created_at,
            f"The source “{source.title or source.url}” needs attention. {health_of(source, now).sentence}",
        )
        for source in session.scalars(failing.order_by(Source.id)).unique()
    ]


def health_of(source: Source, now: datetime.datetime) -> Health:
    """Judge the source by what is stored about it."""
    return health(
        now,
        created_at=source.created_at,
        last_success_at=source.last_success_at,
        failures=source.failures,
        last_error=source.last_error,
        gone=source.gone_at is not None,
        paused=source.paused_at is not None,
    )


def host_of(url: str) -> str:
    """Return host and port that `url` names. Raises FetchError for what is no web address."""
    return read_target(url).authority


def locked(session: Session, source_id: int) -> Source:
    """Return the source as it is now, locked to the end of the transaction. Raises NotFoundError."""
    source = lock(session, select(Source).where(Source.id == source_id))
    if source is None:
        raise NotFoundError("There is no such source.")
    return source


def lock(session: Session, statement: Select[Source]) -> Source | None:
    """Return the one source that `statement` selects, as it is now, locked to the end of the transaction."""
    # Without the category beside it: PostgreSQL locks no outer join.
    alone = lock_rows(session, statement.options(lazyload(Source.default_category)))
    source: Source | None = session.scalar(alone.execution_options(populate_existing=True))
    return source


def _check_category(session: Session, category_id: int | None) -> None:
    if category_id is not None and session.get(Category, category_id) is None:
        raise NotFoundError("There is no such category.")


def _unanswered(session: Session, sources: Sequence[Source]) -> dict[int, int]:
    asking = [source.id for source in sources if source.backlog is Backlog.ASK and source.first_imported_at]
    if not asking:
        return {}
    counts = (
        select(Article.source_id, func.count())
        .join(Source, Source.id == Article.source_id)
        .where(
            Article.source_id.in_(asking),
            Article.number.is_(None),
            Article.available_at.is_(None),
            Article.first_seen_at == Source.first_imported_at,
        )
        .group_by(Article.source_id)
    )
    return {source_id: count for source_id, count in session.execute(counts) if source_id is not None}


def _view(source: Source, now: datetime.datetime, unanswered: dict[int, int], unmapped: dict[int, int]) -> SourceView:
    judged = health_of(source, now)
    return SourceView(
        id=source.id,
        url=source.url,
        title=source.title or source.url,
        kind=source.kind,
        default_category_id=source.default_category_id,
        default_category=source.default_category.name if source.default_category else "",
        backlog=source.backlog,
        health=judged,
        created_at=source.created_at,
        last_attempt_at=source.last_attempt_at,
        last_success_at=source.last_success_at,
        next_attempt_at=None if judged.state in (State.PAUSED, State.GONE) else source.next_attempt_at,
        last_error=source.last_error,
        failures=source.failures,
        unanswered=unanswered.get(source.id, 0),
        unmapped=unmapped.get(source.id, 0),
    )
