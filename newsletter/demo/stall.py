"""A news site for feeds that were named on the command line: serves the files among them, and carries the form.

The service fetches over HTTP alone, so a file is served on loopback. What the feeds' own words for categories are is
seen by trying them; the commonest become the publication's.
"""

import json
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from flask import Flask, Response, abort, render_template
from markupsafe import Markup
from werkzeug.serving import WSGIRequestHandler, make_server

from newsletter.demo.desk import Desk
from newsletter.demo.errors import StoryError
from newsletter.demo.house import House
from newsletter.demo.newsstand import MORE
from newsletter.demo.terminal import Terminal
from newsletter.foundation.names import slug_of
from newsletter.foundation.ports import LOOPBACK

DEFAULT: Final = "News"
"""Where articles go of whose terms none became a category."""
MOST: Final = 5
"""Categories that are made from the feeds' terms."""
LONGEST: Final = 40
"""Characters of a term that may name a category."""
_CADENCE: Final = "Daily"
"""On whose page the operator does it; it holds for all."""
_LEAST: Final = 2
"""Articles that a term must be on."""


class Stall:
    """The site at `url` that offers the feeds `places`, addresses and paths of files."""

    name = "The Demo Gazette"
    default_category = DEFAULT

    def __init__(self, url: str, places: Sequence[str]) -> None:
        self._places = places
        self._files = {number: Path(place) for number, place in enumerate(places, 1) if not is_address(place)}
        self.feeds: Sequence[str] = [
            f"{url}/feeds/{number}/{quote(self._files[number].name)}" if number in self._files else place
            for number, place in enumerate(places, 1)
        ]
        self.categories: Sequence[str] = (DEFAULT,)

    def prepare(self, terminal: Terminal) -> None:
        """Try the feeds, and take categories from what they hold. Raises StoryError where one cannot be read."""
        answer = terminal.run("sources", "try", "--json", "--", *self._places)
        trials = [json.loads(line) for line in answer.splitlines()]
        for trial in trials:
            if not trial["ok"]:
                raise StoryError(f"{trial['source']}: {trial['error']}")
        self.categories = named(article["categories"] for trial in trials for article in trial["articles"])

    def open(self, house: House, signup_url: str) -> None:
        """Serve the site until the demo ends."""
        form = house.ground.signup_form.read_text(encoding="utf-8")
        server = make_server(
            LOOPBACK, house.ports.site, self.app(form, signup_url), threaded=True, request_handler=_Quiet
        )
        threading.Thread(target=server.serve_forever, name="stall", daemon=True).start()

    def fresh(self) -> None:
        """Return None: what these feeds bring only the service knows."""

    def hold_back(self, desk: Desk) -> int:
        """Have the operator hold some articles back: nobody can make a foreign feed bring new ones."""
        articles = desk.articles(_CADENCE, "hold")
        held = articles[: min(MORE, len(articles) // 2)]
        desk.edit(held, "hold")
        return len(held)

    def bring_out(self, desk: Desk) -> None:
        """Have the operator release them."""
        desk.edit(desk.articles(_CADENCE, "release"), "release")

    def app(self, form: str, signup_url: str) -> Flask:
        """Return the site, with the form and a link to the sign-up page on its front."""
        app = Flask(__name__)

        @app.get("/")
        def front() -> str:
            return render_template(
                "stall.html",
                name=self.name,
                feeds=self.feeds,
                signup_url=signup_url,
                form=Markup(form),  # noqa: S704  (the service's own form)
            )

        @app.get("/privacy")
        def privacy() -> str:
            return render_template("stall.html", name=self.name, privacy=True)

        @app.get("/feeds/<int:number>/<name>")
        def feed(number: int, name: str) -> Response:  # noqa: ARG001  (there for people)
            path = self._files.get(number) or abort(404)
            kind = "application/feed+json" if path.suffix == ".json" else "application/xml"
            return Response(path.read_bytes(), content_type=kind)  # the document itself says its encoding

        return app


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        """Say nothing: the demo's own progress is what should be seen."""


def is_address(place: str) -> bool:
    """Say whether `place` is a web address, not a path."""
    return place.startswith(("http://", "https://"))


def hosts(places: Iterable[str]) -> list[str]:
    """Return the hosts of the addresses among `places`: named by the operator's own hand, so they may be private."""
    return [urlsplit(place).netloc.rpartition("@")[2] for place in places if is_address(place)]


def named(terms: Iterable[Collection[str]]) -> list[str]:
    """Return the names of categories for articles with these terms: the commonest, and the default one last."""
    common = Counter(term for each in terms for term in dict.fromkeys(each) if slug_of(term) and len(term) <= LONGEST)
    slugs: dict[str, str] = {}
    for term, count in common.most_common():
        if count >= _LEAST and slug_of(term) != slug_of(DEFAULT) and len(slugs) < MOST:
            slugs.setdefault(slug_of(term), term)
    return [*slugs.values(), DEFAULT]
