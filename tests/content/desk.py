"""A news desk to try the content room on: short words for sources, documents and time."""

import datetime
import itertools

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.content import articles, categories, numbering, sources, storing
from newsletter.content.articles import ArticleView
from newsletter.content.models import Article, ArticleCategory, ArticleTerm, Backlog, Category, Source, Term
from newsletter.content.parsed import ParsedEntry, ParsedFeed
from newsletter.content.parsed import Term as Word
from newsletter.content.storing import Stored
from newsletter.foundation.services import services

_COUNT = itertools.count(1)


def entry(key: str, *words: str, **more: object) -> ParsedEntry:
    """An entry whose identity and address come from `key`, with `words` as its terms."""
    given: dict[str, object] = {
        "identity": key,
        "url": f"https://site.example/{key}",
        "title": f"Title of {key}",
        "summary": f"Summary of {key}.",
        "html": f"<p>Body of {key}.</p>",
        "author": "",
        "image_url": "",
        "published_at": None,
        "categories": tuple(Word(word) for word in words),
    }
    return ParsedEntry(**(given | more))  # type: ignore[arg-type]  # the callers name fields as they are


def feed(*entries: ParsedEntry, title: str = "A feed", site_url: str = "https://site.example/") -> ParsedFeed:
    return ParsedFeed("rss", title, site_url, "en", "", entries)


class Desk:
    """Acts in one session. `now` is the desk's clock; tests move it."""

    def __init__(self, session: Session, now: datetime.datetime) -> None:
        self.session, self.now = session, now

    def tick(self, **delta: float) -> None:
        self.now += datetime.timedelta(**delta)

    def at(self, **delta: float) -> datetime.datetime:
        return self.now + datetime.timedelta(**delta)

    def category(self, name: str) -> int:
        return categories.ensure(self.session, name).id

    def source(self, backlog: Backlog = Backlog.NEW, default: str = "", url: str = "", **more: object) -> Source:
        found = sources.Found(url or f"https://feeds{next(_COUNT)}.example/feed", feed(**more))  # type: ignore[arg-type]
        return sources.add(
            self.session,
            found,
            self.now,
            vault=services().vault,
            backlog=backlog,
            default_category_id=self.category(default) if default else None,
        )

    def store(self, source: Source, *entries: ParsedEntry, site_url: str = "https://site.example/") -> Stored:
        document = feed(*entries, site_url=site_url)
        stored = storing.store(self.session, sources.locked(self.session, source.id), document, self.now)
        self.session.expire_all()
        return stored

    def wait(self, **delta: float) -> int:
        """Let time pass and number what has come due."""
        self.tick(**delta)
        given = numbering.number_waiting(self.session, self.now)
        self.session.expire_all()
        return given

    def views(self, source: Source | None = None) -> list[ArticleView]:
        self.session.flush()
        self.session.expire_all()
        return articles.recent(self.session, self.now, source_id=source.id if source else None, limit=1000)

    def states(self, source: Source | None = None) -> dict[str, str]:
        """Title's last word to state."""
        return {view.title.split()[-1]: view.state.value for view in self.views(source)}

    def article(self, key: str, source: Source | None = None) -> Article:
        query = select(Article).where(Article.title.endswith(key)).execution_options(populate_existing=True)
        return self.session.scalars(query.where(Article.source_id == source.id) if source else query).one()

    def numbered(self) -> list[str]:
        """The last words of the titles that have a number, in its order."""
        query = select(Article.title).where(Article.number.is_not(None)).order_by(Article.number)
        return [title.split()[-1] for title in self.session.scalars(query)]

    def places(self, key: str, source: Source | None = None) -> set[str]:
        """The categories an article is in."""
        article_id = self.article(key, source).id
        query = select(Category.name).join(ArticleCategory, ArticleCategory.category_id == Category.id)
        return set(self.session.scalars(query.where(ArticleCategory.article_id == article_id)))

    def everything(self) -> list[object]:
        """All that is stored, to compare."""
        self.session.flush()
        self.session.expire_all()
        tables = (Source, Article, ArticleCategory, Term, ArticleTerm)
        return [
            tuple(row)
            for table in tables
            for row in self.session.execute(select(*table.__table__.c).order_by(*table.__table__.primary_key))
        ]
