"""From a parsed feed to articles. Storing the same document again changes nothing.

An article is new when we see it first, whatever its date says (standards I7). One that is dated ahead waits for its
date. What a source has at its first import is its backlog, which counts as seen unless the operator wants it out.
Edits change what is shown, never an article's number nor, once it has one, its categories.
"""

import collections
import datetime
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, delete, insert, or_, select
from sqlalchemy.orm import Session

from newsletter.content import terms
from newsletter.content.models import Article, ArticleTerm, Backlog, Source, Term
from newsletter.content.numbering import number_waiting
from newsletter.content.numbers import lock_counter
from newsletter.content.parsed import ParsedEntry, ParsedFeed
from newsletter.content.stories import Known, Match, identity_of, match, oldest_first, stories_of
from newsletter.content.urls import canonical_url

SHOWN: Final = ("url", "title", "summary", "html", "author", "image_url", "published_at")
"""What an edit may change; entries and articles call these alike."""


@dataclass(frozen=True)
class Stored:
    """What a document brought."""

    new: int = 0
    changed: int = 0
    seen: int = 0
    """Of the new ones, those that count as seen: the backlog."""


def store(session: Session, source: Source, feed: ParsedFeed, now: datetime.datetime) -> Stored:
    """Store the entries of `feed`. The caller has locked the source's row: a source is stored by one at a time."""
    first = source.first_imported_at is None
    source.first_imported_at = source.first_imported_at or now
    stories = stories_of(source.id, feed.entries, feed.site_url)
    rows = _known(session, source.id, {identity_of(entry) for entry in feed.entries}, set(stories))
    known = [Known(row.id, row.identity, row.canonical_hash, row.title, row.published_at) for row in rows.values()]
    matches = match(source.id, feed.entries, stories, known)
    new = oldest_first([found for found in matches if found.article_id is None])
    old = [(rows[found.article_id], found) for found in matches if found.article_id is not None]
    edited = {row.id: found for row, found in old if _is_edited(row, found)}
    words = _words(session, [row.id for row, _ in old if row.number is None])
    reworded = {row.id: found for row, found in old if row.number is None and words[row.id] != _folded(found.entry)}
    if not (new or edited or reworded):
        return Stored()
    # From here on nobody numbers, holds or releases an article but us: whoever does locks the counter first, too.
    lock_counter(session)
    _edit(session, edited, now)
    as_seen = first and source.backlog is not Backlog.NEW
    added = _add(session, source.id, new, now, as_seen=as_seen)
    _use_words(session, source.id, added, _without_number(session, reworded), now)
    number_waiting(session, now)
    seen = sum(_available_at(found.entry, now) <= now for found in new) if as_seen else 0
    return Stored(len(new), len(edited.keys() | reworded.keys()), seen)


def _known(
    session: Session, source_id: int, identities: Collection[str], stories: Collection[str]
) -> dict[int, Row[*tuple[Any, ...]]]:
    columns = (Article.id, Article.identity, Article.canonical_hash, Article.number)
    shown = [getattr(Article, name) for name in SHOWN]
    same = or_(Article.identity.in_(identities), Article.canonical_hash.in_(stories))
    found = session.execute(select(*columns, *shown).where(Article.source_id == source_id, same))
    return {row.id: row for row in found}


def _is_edited(row: Row[*tuple[Any, ...]], found: Match) -> bool:
    return row.identity != found.identity or any(getattr(row, name) != getattr(found.entry, name) for name in SHOWN)


def _available_at(entry: ParsedEntry, now: datetime.datetime) -> datetime.datetime:
    return max(now, entry.published_at or now)


def _edit(session: Session, edited: Mapping[int, Match], now: datetime.datetime) -> None:
    articles = session.scalars(
        select(Article).where(Article.id.in_(edited.keys())).execution_options(populate_existing=True)
    )
    told = _told(session, {found.story for found in edited.values()})
    for article in articles:
        found = edited[article.id]
        article.identity = found.identity
        # Its story moves with its address, but two that have gone out as two do not become one.
        moved = canonical_url(article.url) != canonical_url(found.entry.url)
        if moved and (article.number is None or found.story not in told):
            article.canonical_hash = found.story
            told.add(found.story)
        for name in SHOWN:
            setattr(article, name, getattr(found.entry, name))
        if article.number is None and article.available_at is not None:
            ahead = _available_at(found.entry, now)
            article.available_at = ahead if ahead > now else min(article.available_at, now)
        article.updated_at = now
    session.flush()


def _told(session: Session, stories: Collection[str]) -> set[str]:
    """Return those of `stories` that have a number."""
    told = select(Article.canonical_hash).where(Article.canonical_hash.in_(stories), Article.number.is_not(None))
    return set(session.scalars(told))


def _add(
    session: Session, source_id: int, new: Iterable[Match], now: datetime.datetime, *, as_seen: bool
) -> dict[int, Match]:
    added = {}
    for found in new:
        available_at = _available_at(found.entry, now)
        article = Article(
            source_id=source_id,
            identity=found.identity,
            canonical_hash=found.story,
            first_seen_at=now,
            updated_at=now,
            available_at=None if as_seen and available_at <= now else available_at,
            **{name: getattr(found.entry, name) for name in SHOWN},
        )
        session.add(article)
        added[found.identity] = article
    session.flush()
    return {added[found.identity].id: found for found in new}


def _without_number(session: Session, reworded: Mapping[int, Match]) -> dict[int, Match]:
    """Look again, under the lock: what got a number meanwhile keeps its categories."""
    still = session.scalars(select(Article.id).where(Article.id.in_(reworded.keys()), Article.number.is_(None)))
    return {article_id: reworded[article_id] for article_id in still}


def _use_words(
    session: Session,
    source_id: int,
    added: Mapping[int, Match],
    reworded: Mapping[int, Match],
    now: datetime.datetime,
) -> None:
    """Note the terms of these articles, and sort them into categories."""
    articles = {**added, **reworded}
    if not articles:
        return
    names = [term.name for found in articles.values() for term in found.entry.categories]
    ids = terms.known_terms(session, source_id, names, now)
    session.execute(delete(ArticleTerm).where(ArticleTerm.article_id.in_(reworded.keys())))
    uses = [
        {"article_id": article_id, "term_id": ids[folded]}
        for article_id, found in articles.items()
        for folded in sorted(_folded(found.entry))
    ]
    if uses:
        session.execute(insert(ArticleTerm), uses)
    terms.count_use(session, collections.Counter(use["term_id"] for use in uses if use["article_id"] in added), now)
    terms.sort_into_categories(session, select(Article.id).where(Article.id.in_(articles.keys())))


def _words(session: Session, ids: Collection[int]) -> dict[int, set[str]]:
    """Return the folded terms of articles."""
    words: dict[int, set[str]] = {article_id: set() for article_id in ids}
    for article_id, folded in session.execute(
        select(ArticleTerm.article_id, Term.folded)
        .join(Term, Term.id == ArticleTerm.term_id)
        .where(ArticleTerm.article_id.in_(ids))
    ):
        words[article_id].add(folded)
    return words


def _folded(entry: ParsedEntry) -> set[str]:
    return {terms.fold(term.name) for term in entry.categories}
