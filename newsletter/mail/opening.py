"""The visible first line of a digest, e.g. `7 new in Business and World`; about 110 characters (standards F17)."""

from collections.abc import Sequence
from typing import Final

from newsletter.foundation import languages

_NAMED: Final = 4


def opening(names: Sequence[str], count: int, language: str) -> str:
    """Return the line for `count` articles in the categories `names`, of which a few are named."""
    speech = languages.catalogue(language)
    listed = [*names[: named(len(names))]]
    if others := len(names) - len(listed):
        rest = speech.ngettext("%(num)s other category", "%(num)s other categories", others)
        listed.append(rest % {"num": languages.number(others, language)})
    line = speech.ngettext("%(num)s new in %(categories)s", "%(num)s new in %(categories)s", count)
    return line % {"num": languages.number(count, language), "categories": languages.listing(listed, language)}


def named(categories: int) -> int:
    """Return how many of so many categories the line names; the others it counts."""
    return categories if categories <= _NAMED else _NAMED - 1
