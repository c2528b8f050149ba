"""How a digest is laid out: pure, from what there is and what a reader has read.

Sections stand in the site's order, articles in them newest first. An article stands once, in the first of its
categories that the reader takes, and so does a story that came from two feeds. The lead is what an operator pinned:
it opens its section, and its section the digest; without one the first article leads.
"""

import datetime
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple


class Piece(NamedTuple):
    """An article as far as arranging needs to know it."""

    id: int
    number: int
    story: str
    """The same in two feeds (hash of the canonical URL)."""
    shown_at: datetime.datetime
    """What "newest" goes by."""
    pinned_at: datetime.datetime | None


@dataclass(frozen=True, slots=True)
class Section:
    """A category's articles in order; `more` counts those beyond the cadence's limit."""

    category_id: int
    article_ids: tuple[int, ...]
    more: int = 0


@dataclass(frozen=True, slots=True)
class Selection:
    """What one reader gets; false when that is nothing."""

    sections: tuple[Section, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.sections)

    @property
    def lead(self) -> int | None:
        """The article whose headline is the subject."""
        return self.sections[0].article_ids[0] if self.sections else None

    @property
    def articles(self) -> int:
        """How many it shows."""
        return sum(len(section.article_ids) for section in self.sections)


def newest_first(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """Order pieces as a section shows them, but for the lead."""
    return tuple(sorted(pieces, key=lambda piece: (piece.shown_at, piece.number), reverse=True))


def arrange(
    shelf: Mapping[int, Sequence[Piece]],
    read: Mapping[int, int],
    had: AbstractSet[int] = frozenset(),
    *,
    limit: int,
    stopped: Collection[int] = (),
) -> Selection:
    """Lay out one digest.

    `shelf`: category to its pieces, newest first, in the site's order. `read`: category to how far its reader has read.
    `had`: numbers they have had otherwise. `limit`: articles per category. `stopped`: ids that must not go out now.
    """
    stories: set[str] = set()
    found: list[tuple[int, list[Piece]]] = []
    for category_id, pieces in shelf.items():
        if category_id not in read:
            continue
        kept = []
        for piece in pieces:
            new = piece.number > read[category_id] and piece.number not in had
            if new and piece.id not in stopped and piece.story not in stories:
                stories.add(piece.story)
                kept.append(piece)
        if kept:
            found.append((category_id, kept))
    pinned = [(piece.pinned_at, piece.number, piece) for _, kept in found for piece in kept if piece.pinned_at]
    if pinned:
        lead = max(pinned)[2]
        found.sort(key=lambda section: lead not in section[1])
        found[0][1].sort(key=lambda piece: piece is not lead)
    return Selection(
        tuple(
            Section(category_id, tuple(piece.id for piece in kept[:limit]), max(0, len(kept) - limit))
            for category_id, kept in found
        )
    )
