"""The story: from an empty folder to readers who have their second digest, played through the front doors alone."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from newsletter.delivery.models import DeliveryState
from newsletter.demo import crowd, reckoning
from newsletter.demo.browser import Browser
from newsletter.demo.desk import Desk
from newsletter.demo.errors import StoryError
from newsletter.demo.house import House
from newsletter.demo.newsstand import Articles, Newsstand
from newsletter.demo.postbox import Mail, Postbox
from newsletter.demo.readers import ZONES, Answer, Reader, invent, quiet
from newsletter.demo.telling import Telling
from newsletter.foundation.clock import utc_now
from newsletter.foundation.names import slug_of

READERS: Final = 102
"""How many sign up; two of them never become readers."""
CADENCES: Final = {"daily": "Daily", "weekly": "Weekly"}
"""What `newsletter init` makes, by slug."""
AFFILIATES: Final = {"tidewater-books": "Tidewater Books", "orchard-bank": "Orchard Bank"}
DOMAIN: Final = "gazette.example"
POSTAL_ADDRESS: Final = "The Sample Gazette Ltd\n1 Example Square\nSampleton"
LOGIN: Final = "demo"


@dataclass
class Round:
    """A run, and what came of it: by its plan, by the relay's replies, by what the catcher holds."""

    run: int | None
    """None where there was nothing to send."""
    cadence: str
    planned: int
    accepted: int
    caught: int


@dataclass
class Story:
    """Plays the story in `house`, with articles from `stand`, and tells it."""

    house: House
    stand: Newsstand
    telling: Telling
    readers: list[Reader] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)
    deliveries: dict[str, int] = field(default_factory=lambda: dict.fromkeys(map(str, DeliveryState), 0))
    caught: int = 0
    password: str = ""

    def play(self) -> None:
        """Play it to the end. Raises StoryError or ProgramError where it cannot go on."""
        with self.house.open_terminal() as self.terminal:
            self._set_up()
            self._add_sources()
            self._sign_up()  # while the worker fetches
            fresh = self._gather()
            self._confirm()
            active = [reader for reader in self.readers if reader.answer is Answer.CONFIRMS]
            mails = self._send("First digests", active, fresh)
            left = self._leave(active, mails)
            fresh = self._publish()
            self._send("Second digests", [reader for reader in active if reader not in left], fresh)
            self._close_the_books()

    def _set_up(self) -> None:
        house, stand, terminal = self.house, self.stand, self.terminal
        zones = quiet(ZONES, utc_now())
        self.postbox = Postbox(house.ground.caught)
        with self.telling.step("The service starts") as counts:
            stand.prepare(terminal)
            terminal.type("init", *self._identity(zones[0]), *(f"--category={name}" for name in stand.categories))
            house.open_doors()  # while that works
            terminal.answer()
            house.open_workshop()
            self.password = json.loads(terminal.run("operators", "add", LOGIN, "--generate", "--json"))["password"]
            for slug, name in AFFILIATES.items():
                terminal.run("affiliates", "add", slug, name)
            self._open_site()
            self.desk = Desk(house.ports.address("web"), LOGIN, self.password)
            counts |= {"programs": house.running, "categories": len(stand.categories)}
        self.readers = invent(READERS, [slug_of(name) for name in stand.categories], list(CADENCES), zones)

    def _identity(self, timezone: str) -> list[str]:
        site = self.house.ports.address("site")
        facts = {
            "name": self.stand.name,
            "site-url": site,
            "privacy-url": f"{site}/privacy",
            "postal-address": POSTAL_ADDRESS,
            "contact-address": f"editor@{DOMAIN}",
            "digest-from": f"digest@{DOMAIN}",
            "confirmation-from": f"hello@{DOMAIN}",
            "timezone": timezone,
        }
        return [f"--{name}={value}" for name, value in facts.items()]

    def _open_site(self) -> None:
        """Put the newsletter's form on the news site's pages, as an editor does: by copying it."""
        web = self.house.ports.address("web")
        form = Browser().open(f"{web}/subscribe/embed").reading.areas.get("snippet")
        if form is None:
            raise StoryError("The newsletter shows no form for other pages.")
        self.house.ground.signup_form.write_text(form, encoding="utf-8")
        self.stand.open(self.house, f"{web}/subscribe")

    def _add_sources(self) -> None:
        with self.telling.step("Sources are added") as counts:
            for url in self.stand.feeds:
                self.desk.add_source(url, self.stand.default_category)
            counts["sources"] = len(self.stand.feeds)

    def _sign_up(self) -> None:
        web, site = self.house.ports.address("web"), self.house.ports.address("site")
        with self.telling.step("Readers sign up") as counts:
            crowd.sign_up(self.readers, f"{web}/subscribe", site)
            counts |= {
                "sign_ups": len(self.readers),
                "by_the_embedded_form": sum(reader.embedded for reader in self.readers),
                "languages": len({reader.language for reader in self.readers}),
                "time_zones": len({reader.timezone for reader in self.readers}),
            }

    def _gather(self) -> Articles | None:
        """Wait for all articles; return what the next digests must hold."""
        with self.telling.step("Articles are in") as counts:
            self.house.wait_until(self.desk.all_fetched, "fetching the sources")
            held = self.stand.hold_back(self.desk)
            fresh = self.stand.fresh()
            # Nobody reads at any pace yet, so nothing is forecast; but the articles stand there.
            ready = len(self.desk.articles(CADENCES["daily"], "hold"))
            if not ready:
                raise StoryError("The feeds hold no article that could be sent.")
            self.telling.expect("Articles", ready, ready if fresh is None else len(fresh))
            counts |= {"ready": ready} | ({"held_back": held} if held else {})
        return fresh

    def _confirm(self) -> None:
        with self.telling.step("Readers confirm") as counts:
            self.house.wait_until(lambda: self.postbox.waiting() >= len(self.readers), "sending confirmation mails")
            mails = self.postbox.take()
            self.telling.expect_same("Confirmation mails", _to(mails), _addresses(self.readers))
            crowd.answer(self.readers, {mail.to: mail for mail in mails})
            answers = Counter(reader.answer for reader in self.readers)
            counts |= {
                "mails": len(mails),
                "confirmed": answers[Answer.CONFIRMS],
                "refused": answers[Answer.REFUSES],
                "unanswered": answers[Answer.IGNORES],
            }

    def _send(self, title: str, readers: Sequence[Reader], fresh: Articles | None) -> list[Mail]:
        """Send the digests of both cadences at once, and see that they reach just `readers`. Return the mails."""
        with self.telling.step(title) as counts:
            runs: dict[str, int] = {}
            for slug, name in CADENCES.items():
                coming = self.desk.coming(name)
                if fresh is not None:
                    self.telling.expect(f"New articles, {slug}", coming.articles, len(fresh))
                if coming.readers:
                    runs[slug] = self.desk.send(coming)
            for run in runs.values():
                self.house.wait_until(lambda run=run: self.desk.sent(run), f"sending run {run}")  # type: ignore[misc]
            mails = self.postbox.take()
            by_cadence = defaultdict(list)
            for mail in mails:
                by_cadence[mail.list_slug].append(mail)
            rounds = [self._judge(slug, runs.get(slug), by_cadence.pop(slug, []), readers, fresh) for slug in CADENCES]
            self.telling.expect("Mails that belong to no digest", sum(map(len, by_cadence.values())), 0)
            self.rounds += rounds
            counts |= {"runs": len(runs)} | {
                name: sum(getattr(each, name) for each in rounds) for name in ("planned", "accepted", "caught")
            }
        return mails

    def _judge(
        self, slug: str, run: int | None, mails: Sequence[Mail], readers: Iterable[Reader], fresh: Articles | None
    ) -> Round:
        """Compare a run's plan, the relay's replies and what was caught with what `readers` must get."""
        counts = {} if run is None else self.desk.progress(run)["counts"]
        now = Round(run, slug, sum(counts.values()), counts.get(DeliveryState.ACCEPTED, 0), len(mails))
        asked = [reader for reader in readers if reader.cadence == slug]
        got = set(_to(mails))
        # Of foreign feeds nobody tells who must get them: just that nobody else may.
        due = [one for one in asked if one.address in got] if fresh is None else reckoning.due(asked, fresh)
        what, telling = f"The {slug} digest of run {run}", self.telling
        telling.expect_same(f"{what}, readers", _to(mails), _addresses(due))
        telling.expect(f"{what}, planned", now.planned, len(due))
        telling.expect(f"{what}, accepted", now.accepted, now.planned)
        by_address = {reader.address: reader for reader in due}
        for mail in mails:
            reader = by_address.get(mail.to)
            wrong = reckoning.fault(reader, mail.urls, fresh) if reader and fresh is not None else ""
            telling.expect(f"{what}, the mail to {mail.to}", wrong, "")
        return now

    def _leave(self, readers: Iterable[Reader], mails: Sequence[Mail]) -> list[Reader]:
        """Let one reader leave by one click and one by the page; return both."""
        with self.telling.step("Two readers leave") as counts:
            if len(mails) < 3:
                raise StoryError("There are too few digests for somebody to leave.")
            clicks, looked_at, *_, pages = sorted(mails, key=lambda mail: (mail.list_slug, mail.to))
            by_address = {reader.address: reader for reader in readers}
            crowd.leave_by_click(clicks)
            crowd.look_at_header(looked_at)
            crowd.leave_by_page(pages, by_address[pages.to].language)
            counts |= {"by_one_click": 1, "by_the_page": 1, "only_looked": 1}
        return [by_address[clicks.to], by_address[pages.to]]

    def _publish(self) -> Articles | None:
        with self.telling.step("New articles come out") as counts:
            self.stand.bring_out(self.desk)
            self.desk.fetch_all()
            fresh = self.stand.fresh()
            counts["articles"] = max(self.desk.coming(name).articles for name in CADENCES.values())
        return fresh

    def _close_the_books(self) -> None:
        """Compare the ledger, as the command tells it, with everything that was caught."""
        with self.telling.step("The books are compared") as counts:
            found = json.loads(self.terminal.run("deliveries", "list", "--limit=10000", "--json"))
            self.deliveries |= Counter(row["state"] for row in found)
            self.caught = self.postbox.count()
            accepted = self.deliveries[DeliveryState.ACCEPTED]
            self.telling.expect("Deliveries", len(found), len(self.readers) + sum(one.planned for one in self.rounds))
            self.telling.expect("Deliveries accepted", accepted, len(found))
            self.telling.expect("Mails caught", self.caught, accepted)
            for one in self.rounds:
                mine = [row for row in found if row["run_id"] == one.run is not None]
                self.telling.expect(f"Deliveries of run {one.run}", len(mine), one.planned)
            counts |= {"deliveries": len(found), "accepted": accepted, "caught": self.caught}


def _addresses(readers: Iterable[Reader]) -> list[str]:
    return [reader.address for reader in readers]


def _to(mails: Iterable[Mail]) -> list[str]:
    return [mail.to for mail in mails]
