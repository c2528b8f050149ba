"""Where the articles of the story come from: the sample site, or feeds that the command line names (stall.py)."""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from newsletter.demo.browser import Browser
from newsletter.demo.desk import Desk
from newsletter.demo.house import House
from newsletter.demo.terminal import Terminal
from newsletter.foundation.names import slug_of
from newsletter.sample.articles import CATEGORIES
from newsletter.sample.feeds import PAPER

Articles = Mapping[str, frozenset[str]]
"""Address of each article to the slugs of its categories."""
MORE: Final = 8
"""Articles that come out after the first digest."""


class Newsstand(Protocol):
    """What the story asks of the place its articles come from."""

    name: str
    """The publication's."""
    categories: Sequence[str]
    default_category: str
    """Where articles go of whose terms none is ours; empty: nowhere."""
    feeds: Sequence[str]
    """Their addresses."""

    def prepare(self, terminal: Terminal) -> None:
        """Find out what there is, before anything runs."""

    def open(self, house: House, signup_url: str) -> None:
        """Serve the news site, with the form in the house's file on its pages."""

    def fresh(self) -> Articles | None:
        """Return the articles that have come out since this was last asked; None where nobody can tell."""

    def hold_back(self, desk: Desk) -> int:
        """Have some of the articles that were fetched wait for later; return how many."""

    def bring_out(self, desk: Desk) -> None:
        """Bring out what was left for later."""


class Gazette:
    """The sample site at `url`, as any visitor sees it."""

    name = PAPER
    categories: Sequence[str] = CATEGORIES
    default_category = ""

    def __init__(self, url: str) -> None:
        names = (*(f"{name.lower()}.xml" for name in CATEGORIES), "all.atom", "all.json")
        self.feeds: Sequence[str] = [f"{url}/feeds/{name}" for name in names]
        """One for each category, and two that repeat them all."""
        self._url = url
        self._browser = Browser()
        self._known: set[str] = set()

    def prepare(self, terminal: Terminal) -> None:
        """Do nothing: what the paper has is known."""

    def open(self, house: House, signup_url: str) -> None:
        """Start the site as a program of its own."""
        house.open_site(signup_url)

    def fresh(self) -> Articles:
        """Return what the site has published, by its own word, since this was last asked."""
        items = self._browser.open(self.feeds[-1]).data["items"]
        new = {item["url"]: frozenset(map(slug_of, item["tags"])) for item in items if item["url"] not in self._known}
        self._known |= new.keys()
        return new

    def hold_back(self, desk: Desk) -> int:  # noqa: ARG002  (the paper has some in its drawer)
        """Hold none back: the paper has some that it has not published yet."""
        return 0

    def bring_out(self, desk: Desk) -> None:  # noqa: ARG002  (the paper publishes without asking the newsletter)
        """Let the paper publish more."""
        self._browser.post(f"{self._url}/_release", [("count", str(MORE))])
