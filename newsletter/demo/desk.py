"""The operator's pages, used by an operator: what a person reads off them, and which buttons they press."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from newsletter.demo.browser import Browser, Page
from newsletter.demo.errors import StoryError
from newsletter.demo.pages import Form

_SOURCE_COLUMNS: Final = 6
"""Source, health, last success, next attempt, where unsorted articles go, undecided words."""


@dataclass(frozen=True)
class Coming:
    """A cadence's coming digest as its page shows it."""

    page: Page

    @property
    def readers(self) -> int:
        """Readers with something new: as many mails at most."""
        return self._figure("Readers with something new")

    @property
    def articles(self) -> int:
        """New articles."""
        return self._figure("New articles")

    def _figure(self, label: str) -> int:
        found = re.match(r"[\d,]+", self.page.reading.facts.get(label, ""))
        if found is None:
            raise StoryError(f"The page {self.page.url} does not say “{label}”.")
        return int(found[0].replace(",", ""))


class Desk:
    """An operator who is signed in at the service reached at `url`."""

    def __init__(self, url: str, login: str, password: str) -> None:
        """Sign in. Raises StoryError when that is refused."""
        self._browser = Browser()
        self._sources: list[str] = []
        page = self._browser.open(f"{url}/admin/")
        self._home = self._browser.send(page.form("/sign-in"), {"login": login, "password": password})

    def add_source(self, address: str, category: str) -> None:
        """Add a source whose articles are new to all, the unsorted ones in `category`, which may be empty."""
        form = self._section("Sources").form("/admin/sources")
        wanted = {"address": address, "backlog": "new"}
        if category:
            wanted["category"] = form.option("category", category)
        self._sources.append(self._browser.send(form, wanted).url)

    def all_fetched(self) -> bool:
        """Say whether every source has been fetched. Raises StoryError for one that could not be."""
        rows = [row for row in self._section("Sources").reading.rows if len(row) == _SOURCE_COLUMNS]
        for title, health, success, *_ in rows[1:]:
            if success == "never" and health != "new":
                raise StoryError(f"The source “{title}” could not be fetched: {health}.")
        return all(row[2] != "never" for row in rows[1:]) and len(rows) > len(self._sources)

    def fetch_all(self) -> None:
        """Have every source fetched at once, one after the other."""
        for url in self._sources:
            self._browser.send(self._browser.open(url).form("/fetch"), {})

    def coming(self, cadence: str) -> Coming:
        """Return the coming digest of the cadence of that name."""
        return Coming(self._browser.open(self._link(self._section("Digests"), cadence)))

    def send(self, coming: Coming) -> int:
        """Send the digest now, by a double click, and return its run's id. Raises StoryError if that made two runs."""
        form = coming.page.form("/send")
        runs = {self._browser.send(form, {}).url.rpartition("/")[2] for _click in range(2)}
        if len(runs) > 1:
            raise StoryError(f"A double click made the runs {', '.join(sorted(runs))}.")
        return int(runs.pop())

    def progress(self, run: int) -> dict[str, Any]:
        """Return how far a run is: its state, total, and deliveries by state."""
        found = self._browser.open(f"{self._home.url.rstrip('/')}/runs/{run}/progress").data
        found["counts"] = {state: int(text.replace(",", "")) for state, text in found.get("counts", {}).items()}
        return dict(found)

    def sent(self, run: int) -> bool:
        """Say whether a run is through."""
        return bool(self.progress(run)["state"] == "sent")

    def articles(self, cadence: str, act: str) -> list[Form]:
        """Return the forms of the articles of the coming digest that have the button `act`, newest first."""
        forms = self.coming(cadence).page.reading.forms
        return [form for form in forms if "/articles/" in form.action and act in form.offered("act")]

    def edit(self, articles: Sequence[Form], act: str) -> None:
        """Press the button `act` of each of `articles`."""
        for form in articles:
            self._browser.send(form, {"act": act})

    def _section(self, name: str) -> Page:
        """Go by the menu."""
        return self._browser.open(self._link(self._home, name))

    @staticmethod
    def _link(page: Page, words: str) -> str:
        for text, url in page.reading.links.items():
            if text == words or text.startswith(f"{words} "):  # a number of things that wait may follow
                return url
        raise StoryError(f"The page {page.url} has no link “{words}”.")
