"""Sources, categories, the mapping between their words and ours, and articles."""

import datetime
import enum

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from newsletter.foundation.db import BIG_ID, Base, Word, only


class Backlog(enum.StrEnum):
    """What becomes of the articles that a source already has at its first import (standards I8)."""

    ASK = "ask"
    """Store them as seen and tell the operator, who may still release them."""
    SEEN = "seen"
    NEW = "new"


class Category(Base):
    """A named stream of articles that a reader can ask for, in the site's order."""

    __tablename__ = "categories"

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(60), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    description: Mapped[str] = mapped_column(Text, default="")
    url: Mapped[str] = mapped_column(Text, default="")
    """The category's page on the site: where "more on the site" leads; empty: the site itself."""
    position: Mapped[int] = mapped_column(default=0)
    archived_at: Mapped[datetime.datetime | None]


class Source(Base):
    """A feed, how to fetch it, and how that went."""

    __tablename__ = "sources"

    id: Mapped[int] = mapped_column(primary_key=True)
    url: Mapped[str] = mapped_column(Text, unique=True)
    title: Mapped[str] = mapped_column(String(300), default="")
    kind: Mapped[str] = mapped_column(String(12), default="")
    """rss, atom or json, once known."""
    site_url: Mapped[str] = mapped_column(Text, default="")
    username: Mapped[str] = mapped_column(String(200), default="")
    sealed_password: Mapped[str] = mapped_column(Text, default="")
    """Encrypted under the data keys."""
    default_category_id: Mapped[int | None] = mapped_column(ForeignKey("categories.id", ondelete="SET NULL"))
    """Where articles go of whose terms none is mapped."""
    backlog: Mapped[Backlog] = mapped_column(Word(Backlog), default=Backlog.ASK)
    host: Mapped[str] = mapped_column(String(300))
    """Host and port that `url` names: what is not asked twice at once (see Host)."""
    created_at: Mapped[datetime.datetime]
    paused_at: Mapped[datetime.datetime | None]
    gone_at: Mapped[datetime.datetime | None]
    """410 was answered: not asked again until an operator says so."""
    etag: Mapped[str | None] = mapped_column(Text)
    last_modified: Mapped[str | None] = mapped_column(Text)
    next_attempt_at: Mapped[datetime.datetime] = mapped_column(index=True)
    """Also the lease: who fetches pushes it ahead first."""
    last_attempt_at: Mapped[datetime.datetime | None]
    last_success_at: Mapped[datetime.datetime | None]
    last_error: Mapped[str] = mapped_column(Text, default="")
    """In plain words; empty while all is well."""
    failures: Mapped[int] = mapped_column(default=0)
    """Failed attempts in a row."""
    moved_url: Mapped[str | None] = mapped_column(Text)
    """Where permanent redirects lead; taken over after `moved_seen` sightings."""
    moved_seen: Mapped[int] = mapped_column(default=0)
    first_imported_at: Mapped[datetime.datetime | None]

    default_category: Mapped[Category | None] = relationship(lazy="joined")


class Host(Base):
    """A server that sources are fetched from, and from when on it may be asked again: the lease of whoever asks it."""

    __tablename__ = "hosts"

    host: Mapped[str] = mapped_column(String(300), primary_key=True)
    free_at: Mapped[datetime.datetime]


class Term(Base):
    """A source's own word for a category and what it means here; unmapped while it has no category."""

    __tablename__ = "terms"
    __table_args__ = (UniqueConstraint("source_id", "folded"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("sources.id", ondelete="CASCADE"))
    folded: Mapped[str] = mapped_column(String(200))
    """Without case and diacritics."""
    name: Mapped[str] = mapped_column(String(200))
    category_id: Mapped[int | None] = mapped_column(ForeignKey("categories.id", ondelete="SET NULL"), index=True)
    ignored_at: Mapped[datetime.datetime | None]
    seen: Mapped[int] = mapped_column(default=0)
    last_seen_at: Mapped[datetime.datetime]


class Article(Base):
    """One published piece.

    Its `number` is its place in the order in which digests read. It is given under a lock that is held to the commit
    (see content/numbers.py), and only to articles that may go out: one that is dated in the future, held, or part of a
    backlog that counts as seen has none yet, so that no window can pass it by.
    """

    __tablename__ = "articles"
    __table_args__ = (
        UniqueConstraint("source_id", "identity"),
        Index("ix_articles_waiting", "available_at", **only("number IS NULL AND available_at IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(BIG_ID, primary_key=True)
    source_id: Mapped[int | None] = mapped_column(ForeignKey("sources.id", ondelete="SET NULL"))
    identity: Mapped[str] = mapped_column(String(64))
    """Hash of the feed's identity for it (standards I6)."""
    canonical_hash: Mapped[str] = mapped_column(String(64), index=True)
    """Hash of the canonical URL: the same story in two feeds has the same. See stories.py."""
    number: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    url: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    summary: Mapped[str] = mapped_column(Text, default="")
    html: Mapped[str] = mapped_column(Text, default="")
    """Sanitised once, when stored."""
    author: Mapped[str] = mapped_column(String(300), default="")
    image_url: Mapped[str] = mapped_column(Text, default="")
    published_at: Mapped[datetime.datetime | None]
    """As the feed says; may be absent or wrong."""
    first_seen_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime]
    available_at: Mapped[datetime.datetime | None]
    """When it may get a number: now, or its date when that lies ahead; none while it counts as seen.

    One that has no category waits too, for somebody to map its terms.
    """
    held_at: Mapped[datetime.datetime | None]
    withdrawn_at: Mapped[datetime.datetime | None]
    pinned_at: Mapped[datetime.datetime | None]
    """Leads the digests it is in."""
    digested_at: Mapped[datetime.datetime | None]
    """First time that a digest carried it."""

    source: Mapped[Source | None] = relationship(lazy="raise")
    categories: Mapped[list[Category]] = relationship(
        secondary="article_categories", lazy="raise", order_by="Category.position"
    )


class ArticleCategory(Base):
    """Which categories an article is in."""

    __tablename__ = "article_categories"

    article_id: Mapped[int] = mapped_column(ForeignKey("articles.id", ondelete="CASCADE"), primary_key=True)
    category_id: Mapped[int] = mapped_column(
        ForeignKey("categories.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class ArticleTerm(Base):
    """The words that its source gives an article: its categories come from them until it has a number."""

    __tablename__ = "article_terms"

    article_id: Mapped[int] = mapped_column(ForeignKey("articles.id", ondelete="CASCADE"), primary_key=True)
    term_id: Mapped[int] = mapped_column(ForeignKey("terms.id", ondelete="CASCADE"), primary_key=True, index=True)


class Counter(Base):
    """The last article number given. Whoever numbers articles or cuts a run locks this row to their commit."""

    __tablename__ = "counters"

    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger, default=0)
