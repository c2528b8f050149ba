"""Fetching in three steps, so that no transaction is open while a server takes its time: claim, ask, record.

Claiming a source leases its host: it is not asked twice at once, by whatever worker, and rests a moment in between.
What the source answered is recorded only while the claim stands; a worker that comes back too late changes nothing.
"""

import datetime
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, Protocol

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.orm import Session

from newsletter.content import pacing, sources, storing
from newsletter.content.models import Host, Source
from newsletter.content.parsed import ParsedFeed
from newsletter.content.storing import Stored
from newsletter.content.trying import Parses
from newsletter.foundation.db import insert_new
from newsletter.foundation.errors import FetchError, NewsletterError
from newsletter.foundation.fetch import Fetched, GoneError
from newsletter.foundation.secrets import Vault
from newsletter.foundation.targets import read_target

log = logging.getLogger(__name__)

LEASE: Final = datetime.timedelta(minutes=4)
"""Longer than any fetch and parse; what a killed worker had claimed is free after it."""
GAP: Final = datetime.timedelta(milliseconds=250)
"""Between two requests to one host."""
HOST_CEILING: Final = datetime.timedelta(hours=1)
"""The longest rest of a whole host because one of its sources was told to come back later (429, 503)."""
MOVES: Final = 3
"""Sightings of a permanent redirect after which the new address is taken over (standards I4)."""


class Asks(Protocol):
    """What is needed of a fetcher."""

    def fetch(
        self,
        url: str,
        *,
        etag: str | None = None,
        last_modified: str | None = None,
        authorization: tuple[str, str] | None = None,
    ) -> Fetched:
        """Fetch `url`, conditionally; raise FetchError."""


@dataclass(frozen=True)
class Claim:
    """A source that is ours to ask until `until`."""

    source_id: int
    url: str
    host: str
    until: datetime.datetime
    etag: str | None = None
    last_modified: str | None = None
    username: str = ""
    sealed_password: str = ""


@dataclass(frozen=True)
class Answer:
    """What became of asking: a feed, nothing new, or a problem in plain words."""

    feed: ParsedFeed | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    permanent_url: str | None = None
    problem: str = ""
    status: int | None = None
    retry_after: int | None = None
    """Seconds."""
    gone: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a fetch changed."""

    source_id: int
    url: str
    problem: str = ""
    """In plain words; empty when all is well."""
    stored: Stored = field(default_factory=Stored)
    recorded: bool = True
    """False: somebody else has claimed the source since, or it was changed or removed."""


def anything_due(session: Session, now: datetime.datetime) -> bool:
    """Tell whether a source's time has come; cheap, and locks nothing."""
    return session.scalar(select(Source.id).where(_due(now)).limit(1)) is not None


def claim(session: Session, now: datetime.datetime, limit: int) -> list[Claim]:
    """Claim up to `limit` sources whose time has come, each on another host that is free; what failed comes last."""
    turn = func.row_number().over(partition_by=Source.host, order_by=(Source.failures > 0, Source.next_attempt_at))
    ranked = (
        select(Source.id, Source.host, Source.next_attempt_at, turn.label("turn"))
        .outerjoin(Host, Host.host == Source.host)
        .where(_due(now), or_(Host.free_at.is_(None), Host.free_at <= now))
        .subquery()
    )
    first = select(ranked.c.id, ranked.c.host).where(ranked.c.turn == 1).order_by(ranked.c.next_attempt_at).limit(limit)
    wanted = {host: source_id for source_id, host in session.execute(first)}
    until = now + LEASE
    # In one order, so that two workers never wait for each other; who comes second finds the host taken.
    ids = [wanted[host] for host in sorted(wanted) if _lease(session, host, now, until)]
    return _take(session, and_(Source.id.in_(ids), _due(now)), until) if ids else []


def claim_one(session: Session, source_id: int, now: datetime.datetime) -> Claim:
    """Claim this source, due or not, over the head of whoever has claimed it. Raises NotFoundError."""
    source = sources.locked(session, source_id)
    until = now + LEASE
    session.execute(insert_new(session, Host).values(host=source.host, free_at=until))
    _rest(session, Host.host == source.host, until)
    return _take(session, Source.id == source_id, until)[0]


def ask(claimed: Claim, fetcher: Asks, parser: Parses, vault: Vault) -> Answer:
    """Fetch and read a source. To be called outside any transaction; raises nothing."""
    try:
        credentials = (claimed.username, vault.open(claimed.sealed_password)) if claimed.sealed_password else None
        found = fetcher.fetch(
            claimed.url, etag=claimed.etag, last_modified=claimed.last_modified, authorization=credentials
        )
        feed = None if found.unchanged else parser.parse(found.body, found.url, found.headers.get("content-type"))
    except FetchError as problem:
        return Answer(
            problem=str(problem),
            status=problem.status,
            retry_after=problem.retry_after,
            gone=isinstance(problem, GoneError),
        )
    except NewsletterError as problem:
        return Answer(problem=str(problem))
    except Exception:
        log.exception("a source could not be read", extra={"source": claimed.source_id})
        return Answer(problem="The program failed while reading this source; its log says more.")
    return Answer(feed=feed, headers=found.headers, permanent_url=found.permanent_url, status=found.status)


def record(session: Session, claimed: Claim, answer: Answer, now: datetime.datetime) -> Outcome:
    """Store what the source answered and say when it is asked again."""
    source = _still_ours(session, claimed)
    _free(session, claimed, answer, now)
    if source is None:
        return Outcome(claimed.source_id, claimed.url, answer.problem, recorded=False)
    source.last_attempt_at = now
    if answer.problem:
        _failed(source, answer, now)
        return Outcome(source.id, source.url, answer.problem)
    stored = Stored() if answer.feed is None else _read(session, source, answer.feed, now)
    _succeeded(session, source, answer, now)
    return Outcome(source.id, source.url, stored=stored)


def _read(session: Session, source: Source, feed: ParsedFeed, now: datetime.datetime) -> Stored:
    source.title = source.title or feed.title[: sources.MAX_TITLE]
    source.kind, source.site_url = feed.kind, feed.site_url
    return storing.store(session, source, feed, now)


def _succeeded(session: Session, source: Source, answer: Answer, now: datetime.datetime) -> None:
    headers = answer.headers
    if answer.feed is not None:
        source.etag, source.last_modified = headers.get("etag"), headers.get("last-modified")
    else:
        source.etag = headers.get("etag", source.etag)
        source.last_modified = headers.get("last-modified", source.last_modified)
    source.last_success_at, source.last_error, source.failures, source.gone_at = now, "", 0, None
    source.next_attempt_at = now + datetime.timedelta(seconds=pacing.seconds_after_success(headers))
    _follow(session, source, answer.permanent_url)
    session.flush()


def _failed(source: Source, answer: Answer, now: datetime.datetime) -> None:
    source.failures += 1
    source.last_error = answer.problem
    wait = pacing.seconds_after_failure(source.failures, answer.retry_after)
    source.next_attempt_at = now + datetime.timedelta(seconds=wait)
    if answer.gone:
        source.gone_at = now


def _follow(session: Session, source: Source, permanent_url: str | None) -> None:
    """Count sightings of a permanent redirect, and take its target over after some.

    A source with a password stays where it is unless it moves within its own host: the new one must not be told it.
    """
    if permanent_url is None or permanent_url == source.url:
        source.moved_url, source.moved_seen = None, 0
        return
    source.moved_seen = source.moved_seen + 1 if permanent_url == source.moved_url else 1
    source.moved_url = permanent_url
    if source.moved_seen < MOVES:
        return
    elsewhere = read_target(permanent_url).origin != read_target(source.url).origin
    taken = session.scalar(select(Source.id).where(Source.url == permanent_url)) is not None
    if taken or (elsewhere and source.sealed_password):
        return
    source.url, source.host = permanent_url, sources.host_of(permanent_url)
    source.moved_url, source.moved_seen = None, 0


def _due(now: datetime.datetime) -> ColumnElement[bool]:
    return and_(Source.next_attempt_at <= now, Source.paused_at.is_(None), Source.gone_at.is_(None))


def _take(session: Session, which: ColumnElement[bool], until: datetime.datetime) -> list[Claim]:
    taken = session.execute(
        update(Source)
        .where(which)
        .values(next_attempt_at=until)
        .returning(
            Source.id,
            Source.url,
            Source.host,
            Source.etag,
            Source.last_modified,
            Source.username,
            Source.sealed_password,
        )
        .execution_options(synchronize_session=False)
    )
    return [
        Claim(source_id, url, host, until, etag, last_modified, username, password)
        for source_id, url, host, etag, last_modified, username, password in taken
    ]


def _lease(session: Session, host: str, now: datetime.datetime, until: datetime.datetime) -> bool:
    """Take the host, unless somebody has; waits for whoever is about to."""
    made = session.scalar(insert_new(session, Host).values(host=host, free_at=until).returning(Host.host))
    return made is not None or _rest(session, and_(Host.host == host, Host.free_at <= now), until)


def _rest(session: Session, which: ColumnElement[bool], until: datetime.datetime) -> bool:
    changed = update(Host).where(which).values(free_at=until).returning(Host.host)
    return session.scalar(changed.execution_options(synchronize_session=False)) is not None


def _free(session: Session, claimed: Claim, answer: Answer, now: datetime.datetime) -> None:
    """Let the host be asked again after a moment, or after the time that it asked for itself."""
    rest = GAP
    if answer.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE) and answer.retry_after:
        rest = min(datetime.timedelta(seconds=answer.retry_after), HOST_CEILING)
    _rest(session, and_(Host.host == claimed.host, Host.free_at == claimed.until), now + rest)


def _still_ours(session: Session, claimed: Claim) -> Source | None:
    statement = select(Source).where(
        Source.id == claimed.source_id,
        Source.next_attempt_at == claimed.until,
        Source.url == claimed.url,
        Source.paused_at.is_(None),
    )
    return sources.lock(session, statement)
