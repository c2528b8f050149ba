"""From the pieces that a feed gives to one entry: the rules that all formats share."""

import collections
import dataclasses
import datetime
import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Final

from newsletter.content.parsed import ParsedEntry, Term
from newsletter.content.sanitising import clean_html, first_image
from newsletter.content.text import excerpt, plain, summary_of, tidy
from newsletter.content.urls import canonical_url, web_url

MAX_ENTRIES: Final = 500
"""Newest entries of a document that are kept. A feed that gains more than that between two fetches loses the rest."""
MAX_LISTED: Final = 10_000
"""Entries whose mere number shows that a document is no feed."""
MAX_TERMS: Final = 50
MAX_NAME: Final = 200
MAX_TITLE: Final = 500


@dataclasses.dataclass(frozen=True, slots=True)
class Draft:
    """An entry as its format gives it: markup unclean, URLs raw."""

    id: str = ""
    url: str = ""
    """Absolute already, or empty."""
    title: str = ""
    summary: str = ""
    body: str = ""
    base: str = ""
    """What relative URLs in the body are relative to."""
    author: str = ""
    images: Sequence[str] = ()
    """Best first, absolute."""
    published_at: datetime.datetime | None = None
    terms: Iterable[tuple[str, str]] = ()
    """Names and schemes."""


def newest(drafts: Sequence[Draft]) -> Sequence[Draft]:
    """Keep the newest MAX_ENTRIES in the document's order; its first ones when some have no date."""
    if len(drafts) <= MAX_ENTRIES:
        return drafts
    dates = [draft.published_at for draft in drafts]
    dated = sorted(((when, -place) for place, when in enumerate(dates) if when is not None), reverse=True)
    if len(dated) < len(drafts):
        return drafts[:MAX_ENTRIES]
    return [drafts[place] for place in sorted(-place for _, place in dated[:MAX_ENTRIES])]


def finish(drafts: Sequence[Draft]) -> tuple[ParsedEntry, ...]:
    """Make entries of `drafts`: cleaned, with identities that are unique within the document; empty ones go.

    Some feeds give every entry the same guid; there the guid alone is no identity.
    """
    kept = newest(drafts)
    uses = collections.Counter(draft.id for draft in kept)
    made: dict[str, ParsedEntry] = {}
    for draft in kept:
        entry = _entry(draft, alone=uses[draft.id] == 1)
        if entry is not None:
            made.setdefault(entry.identity, entry)
    return tuple(made.values())


def _entry(draft: Draft, *, alone: bool) -> ParsedEntry | None:
    html = clean_html(draft.body or draft.summary, draft.base)
    summary = summary_of(draft.summary) or summary_of(draft.body)
    title = excerpt(plain(draft.title), MAX_TITLE) or excerpt(summary, 80) or draft.url
    if not title:
        return None
    image = next((url for url in draft.images if url), "") or first_image(html)
    return ParsedEntry(
        identity=_identity(draft, title, alone=alone),
        url=draft.url,
        title=title,
        summary=summary,
        html=html,
        author=_author(draft.author),
        image_url=image,
        published_at=draft.published_at,
        categories=_terms(draft.terms),
    )


def _identity(draft: Draft, title: str, *, alone: bool) -> str:
    own = tidy(draft.id)
    if own and alone:
        return own
    if draft.url:
        return f"{own} {canonical_url(draft.url)}".strip()
    digest = hashlib.sha256(f"{own}\n{title}\n{draft.published_at}".encode()).hexdigest()
    return f"hash:{digest}"


def _author(author: str) -> str:
    """Return the name; an address alone is nobody's name and not ours to spread."""
    name = re.sub(r"\(\s*\)|<\s*>", "", re.sub(r"\S+@\S+", "", plain(author))).strip(" ()<>,;")
    return excerpt(name, MAX_NAME)


def _terms(terms: Iterable[tuple[str, str]]) -> tuple[Term, ...]:
    found: dict[tuple[str, str], Term] = {}
    for name, scheme in terms:
        term = Term(plain(name)[:MAX_NAME].strip(), tidy(scheme)[:MAX_NAME])
        if term.name:
            found.setdefault((term.name.casefold(), term.scheme), term)
        if len(found) == MAX_TERMS:
            break
    return tuple(found.values())


def first_url(values: Iterable[str | None], base: str) -> str:
    """Return the first of `values` that can be made an http(s) URL, or nothing."""
    return next((url for value in values if (url := web_url(value, base))), "")


def language_tag(value: object) -> str:
    """Return `value` as a language tag (BCP 47), or nothing."""
    tag = str(value or "").strip().replace("_", "-")
    return tag if re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*", tag) and len(tag) <= 35 else ""


def sensible_date(when: datetime.datetime) -> datetime.datetime | None:
    """Return aware `when` in UTC, or nothing where its year shows that it was misread.

    An entry that is dated ahead waits for its date; one that is dated 9999 would wait for ever.
    """
    utc = when.astimezone(datetime.UTC)
    return utc if 1970 <= utc.year <= 2100 else None
