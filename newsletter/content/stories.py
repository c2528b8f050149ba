"""When two entries are the same article, and when two articles are the same story. Pure.

Within a source the feed's own identity decides (standards I6). A site that gives its entries new identities, by moving
to another system or to https, would have all of them sent again; so an unknown identity whose address is known, and
whose title or date is as before, is that article under a new name. Across sources the address decides.
"""

import collections
import dataclasses
import datetime
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from newsletter.content.parsed import ParsedEntry
from newsletter.content.urls import canonical_url


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """A stored article of the source, as far as recognising it goes."""

    id: int
    identity: str
    story: str
    title: str
    published_at: datetime.datetime | None


@dataclasses.dataclass(frozen=True, slots=True)
class Match:
    """An entry, its keys, and the article that it is, if that is stored already."""

    entry: ParsedEntry
    identity: str
    story: str
    article_id: int | None


def identity_of(entry: ParsedEntry) -> str:
    """Return the key of an entry within its source: 64 hexadecimal characters."""
    return hashlib.sha256(entry.identity.encode()).hexdigest()


def stories_of(source_id: int, entries: Sequence[ParsedEntry], site_url: str = "") -> list[str]:
    """Return each entry's key across sources: that of its address where the address is its own.

    It is not when other entries lead there too, or when it is just a site's front page; then the key is its alone.
    """
    titles: dict[str, set[str]] = collections.defaultdict(set)
    addresses = [canonical_url(entry.url) if entry.url else "" for entry in entries]
    for address, entry in zip(addresses, entries, strict=True):
        titles[address].add(entry.title)
    front = canonical_url(site_url) if site_url else ""
    return [
        _hash(address)
        if address and address != front and len(titles[address]) == 1 and not _is_front_page(address)
        else own_story(source_id, identity_of(entry))
        for address, entry in zip(addresses, entries, strict=True)
    ]


def own_story(source_id: int, identity: str) -> str:
    """Return the key of a story that no other entry can share."""
    return _hash(f"{source_id} {identity}")


def match(
    source_id: int, entries: Sequence[ParsedEntry], stories: Sequence[str], known: Collection[Known]
) -> list[Match]:
    """Say for each entry of a document which of the source's `known` articles it is, if any."""
    by_identity = {article.identity: article for article in known}
    identities = [identity_of(entry) for entry in entries]
    present = set(identities)
    renamed = _by_story(article for article in known if article.identity not in present)
    matches = []
    for entry, identity, story in zip(entries, identities, stories, strict=True):
        article = by_identity.get(identity)
        if article is None and story in renamed:
            article = next((one for one in renamed[story] if _is_same(one, entry)), None)
            if article is None:
                # Another piece under an address that was used before: it is no repeat of the old one.
                story = own_story(source_id, identity)
            else:
                renamed[story].remove(article)
        matches.append(Match(entry, identity, story, article.id if article else None))
    return matches


def oldest_first(matches: Collection[Match]) -> list[Match]:
    """Order new articles as they shall be numbered: by date where all have one, else against the document's order."""
    backwards = list(matches)[::-1]
    dates = {found.identity: found.entry.published_at for found in backwards}
    dated: Mapping[str, datetime.datetime] = {key: when for key, when in dates.items() if when is not None}
    if len(dated) < len(dates):
        return backwards
    return sorted(backwards, key=lambda found: dated[found.identity])


def _by_story(articles: Iterable[Known]) -> dict[str, list[Known]]:
    found: dict[str, list[Known]] = collections.defaultdict(list)
    for article in articles:
        found[article.story].append(article)
    return found


def _is_same(article: Known, entry: ParsedEntry) -> bool:
    return article.title == entry.title or (
        entry.published_at is not None and article.published_at == entry.published_at
    )


def _is_front_page(address: str) -> bool:
    parts = urlsplit(address)
    return not parts.path and not parts.query


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
