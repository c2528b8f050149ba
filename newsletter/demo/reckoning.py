"""What each reader must get, reckoned from what the site published and what they asked for. Pure."""

from collections.abc import Collection, Sequence

from newsletter.audience.cadences import Pace
from newsletter.demo.newsstand import Articles
from newsletter.demo.readers import Reader


def due(readers: Collection[Reader], fresh: Articles) -> list[Reader]:
    """Return the readers for whom there is something new."""
    return [reader for reader in readers if wanted(reader, fresh)]


def wanted(reader: Reader, fresh: Articles) -> set[str]:
    """Return the addresses of the articles in a reader's categories."""
    return {url for url, categories in fresh.items() if categories & reader.categories}


def fault(reader: Reader, urls: Sequence[str], fresh: Articles) -> str:
    """Say what is wrong with a digest that leads to `urls`, in the order of its text; empty: nothing.

    It must hold articles of the reader's categories only, none twice, and all of them where none of the categories has
    more than a digest takes.
    """
    bare = [url.partition("?")[0] for url in urls]
    known = [url for url in bare if url in fresh]
    mine = wanted(reader, fresh)
    if len(known) > len(set(known)):
        return "an article twice"
    if set(known) - mine:
        return "an article of another category"
    if not known:
        return "no article"
    fits = all(
        sum(category in categories for categories in fresh.values()) <= Pace.max_per_category
        for category in reader.categories
    )
    return "not all articles" if fits and set(known) != mine else ""
