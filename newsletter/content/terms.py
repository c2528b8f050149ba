"""Terms: a source's own words for categories, and what they mean here (standards I9).

A term that is called like one of our categories means that one. Any other waits for an operator, who maps it or says
that it means nothing here. An article takes its categories from its terms, or its source's default, as long as it has
no number; then they are settled.
"""

import datetime
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Select, and_, bindparam, case, delete, exists, insert, select, update
from sqlalchemy.orm import Session

from newsletter.content.models import Article, ArticleCategory, ArticleTerm, Category, Source, Term
from newsletter.content.numbers import lock_counter
from newsletter.foundation.errors import NotFoundError
from newsletter.foundation.names import slug_of

MOST: Final = 300
"""Terms that are listed at once: some sites make one for each person and place they write about."""
_UNDECIDED: Final = and_(Term.category_id.is_(None), Term.ignored_at.is_(None))
_ADD: Final = insert(Term).returning(Term.id, Term.folded)
_COUNT: Final = (
    update(Term)
    .where(Term.id == bindparam("term"))
    .values(seen=Term.seen + bindparam("more"), last_seen_at=bindparam("now"))
)


def fold(name: str) -> str:
    """Return `name` without case, diacritics and needless spaces: names that fold alike are the same term."""
    letters = unicodedata.normalize("NFKD", name.casefold().replace("ß", "ss"))
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return (" ".join(plain.split()) or name)[:200]


@dataclass(frozen=True)
class TermView:
    """A term as operators see it."""

    id: int
    source_id: int
    source: str
    name: str
    seen: int
    """Articles that had it."""
    last_seen_at: datetime.datetime
    category_id: int | None
    category: str
    """The name of the category it means; empty while it is mapped to none."""
    ignored: bool


def listed(session: Session, source_id: int | None = None) -> list[TermView]:
    """Return the terms of one source or of all, MOST of them: undecided ones first, the most frequent of them first."""
    undecided_first = case((_UNDECIDED, 0), else_=1)
    return _views(session, _of(source_id).order_by(undecided_first, Term.seen.desc(), Term.id))


def unmapped(session: Session, source_id: int | None = None) -> list[TermView]:
    """Return the terms that nobody has decided about, the most frequent first, MOST of them."""
    return _views(session, _of(source_id).where(_UNDECIDED).order_by(Term.seen.desc(), Term.id))


def map_to(session: Session, term_id: int, category_id: int) -> Term:
    """Let the term mean this category, for coming articles and for those that have no number yet.

    Raises NotFoundError for a term or category that is not there.
    """
    lock_counter(session)
    term = _get(session, term_id)
    if session.get(Category, category_id) is None:
        raise NotFoundError("There is no such category.")
    term.category_id, term.ignored_at = category_id, None
    session.flush()
    sort_into_categories(session, _having(term_id))
    return term


def ignore(session: Session, term_id: int, now: datetime.datetime) -> Term:
    """Let the term mean nothing here, and ask no more about it. Raises NotFoundError."""
    lock_counter(session)
    term = _get(session, term_id)
    term.category_id, term.ignored_at = None, now
    session.flush()
    sort_into_categories(session, _having(term_id))
    return term


def sort_into_categories(session: Session, ids: Select[int]) -> None:
    """Give the articles that `ids` selects, as far as they have no number, the categories that their terms mean now.

    One of whose terms none means anything goes into its source's default category, if there is one. To be called under
    the counter's lock, so that none of them is given its number meanwhile.
    """
    open_ids = select(Article.id).where(Article.id.in_(ids), Article.number.is_(None))
    places = ["article_id", "category_id"]
    session.execute(
        delete(ArticleCategory)
        .where(ArticleCategory.article_id.in_(open_ids))
        .execution_options(synchronize_session=False)
    )
    meant = (
        select(ArticleTerm.article_id, Term.category_id)
        .join(Term, Term.id == ArticleTerm.term_id)
        .where(ArticleTerm.article_id.in_(open_ids), Term.category_id.is_not(None))
        .distinct()
    )
    session.execute(insert(ArticleCategory).from_select(places, meant))
    default = (
        select(Article.id, Source.default_category_id)
        .join(Source, Source.id == Article.source_id)
        .where(
            Article.id.in_(open_ids),
            Source.default_category_id.is_not(None),
            ~exists().where(ArticleCategory.article_id == Article.id),
        )
    )
    session.execute(insert(ArticleCategory).from_select(places, default))


def known_terms(session: Session, source_id: int, names: Iterable[str], now: datetime.datetime) -> dict[str, int]:
    """Return the ids of the source's terms called `names`, by folded name; add new ones, and guess what they mean."""
    wanted: dict[str, str] = {}
    for name in names:
        wanted.setdefault(fold(name), name)
    meanings = _meanings(session)
    found = {}
    for term_id, folded, undecided in session.execute(
        select(Term.id, Term.folded, _UNDECIDED).where(Term.source_id == source_id, Term.folded.in_(wanted.keys()))
    ):
        found[folded] = term_id
        if undecided and (meaning := _guess(meanings, wanted[folded])):
            session.execute(update(Term).where(Term.id == term_id).values(category_id=meaning))
    new = [
        {
            "source_id": source_id,
            "folded": folded,
            "name": name,
            "category_id": _guess(meanings, name),
            "last_seen_at": now,
        }
        for folded, name in wanted.items()
        if folded not in found
    ]
    if new:
        found.update((folded, term_id) for term_id, folded in session.execute(_ADD, new))
    return found


def count_use(session: Session, uses: Mapping[int, int], now: datetime.datetime) -> None:
    """Note for each term id how many more articles have it."""
    if uses:
        session.connection().execute(
            _COUNT, [{"term": term_id, "more": more, "now": now} for term_id, more in sorted(uses.items())]
        )


def _guess(meanings: Mapping[str, int], name: str) -> int | None:
    return meanings.get(fold(name)) or meanings.get(slug_of(name))


def _meanings(session: Session) -> dict[str, int]:
    """Return what a term may be called to mean one of our categories: its name, folded, or its slug."""
    offered: Sequence[Category] = session.scalars(
        select(Category).where(Category.archived_at.is_(None)).order_by(Category.position, Category.id)
    ).all()
    meanings: dict[str, int] = {}
    for category in offered:
        for word in (fold(category.name), category.slug):
            meanings.setdefault(word, category.id)
    return meanings


def _having(term_id: int) -> Select[int]:
    return select(ArticleTerm.article_id).where(ArticleTerm.term_id == term_id)


def _get(session: Session, term_id: int) -> Term:
    term = session.get(Term, term_id)
    if term is None:
        raise NotFoundError("There is no such term.")
    return term


def _of(source_id: int | None) -> Select[Term, str, str, str | None]:
    statement = (
        select(Term, Source.title, Source.url, Category.name)
        .join(Source, Source.id == Term.source_id)
        .outerjoin(Category, Category.id == Term.category_id)
    )
    return statement if source_id is None else statement.where(Term.source_id == source_id)


def _views(session: Session, statement: Select[Term, str, str, str | None]) -> list[TermView]:
    rows = session.execute(statement.limit(MOST))
    return [_view(term, title or url, category or "") for term, title, url, category in rows]


def _view(term: Term, source: str, category: str) -> TermView:
    return TermView(
        id=term.id,
        source_id=term.source_id,
        source=source,
        name=term.name,
        seen=term.seen,
        last_seen_at=term.last_seen_at,
        category_id=term.category_id,
        category=category,
        ignored=term.ignored_at is not None,
    )
