"""A publication, its categories and articles, and readers with all sorts of wishes; made up for these tests."""

import datetime
import random
import string
from collections.abc import Iterable
from types import MappingProxyType

from newsletter.mail.digest import DigestComposer
from newsletter.mail.shapes import (
    ArticleCard,
    CategoryFacts,
    DigestFrame,
    Envelope,
    Marking,
    PersonalLinks,
    PublicationFacts,
    ReaderPart,
    Section,
)

NOW = datetime.datetime(2026, 11, 23, 6, 0, tzinfo=datetime.UTC)
FACTS = PublicationFacts(
    name="The Harbour Post",
    site_url="https://harbour.example/",
    postal_address="Harbour Post Ltd\n12 Quay Street, 10115 Port Example",
    privacy_url="https://harbour.example/privacy",
    contact_address="desk@harbour.example",
    digest_from="news@harbour.example",
    confirmation_from="signup@harbour.example",
    list_domain="harbour.example",
    sender_id="harbourpost",
    signup_url="https://news.example.org/subscribe",
)
SLUGS = ("business", "politics", "investing", "world")
HOSTILE = (
    "\r\nBcc: everyone@example.org",
    "=?utf-8?q?hi=0d=0aBcc=3a_evil=40x.example?=",
    "Re: Fwd: RE[2]: your invoice",
    "\u202eevil\u2066 text\u2028with\u2029lines\x00\x07\x85",
    "<script>alert(1)</script> & <b>bold</b> &amp; &#60;",
    "see https://evil.example/login and hthttps://tps://x.example",
    "Ein sehr langer Titel mit Umlauten: äöüß " * 9,
    "🗞️🚢👩‍👩‍👧‍👦" * 30,
    "عاجل: البنك المركزي يبقي أسعار الفائدة",
    "x" * 400,
    'a "quoted", title; with (comment) \\ and <angle@brackets.example>',
    "",
    " \t\n ",
    "\ue000leave\ue001\ud800 {{ 7 * 7 }} {% raw %}",
    ".",
    "From the harbour = nothing",
)
URLS = (
    "https://harbour.example/a/{}",
    "http://harbour.example/a/{}?x=1&copy;=2#frag",
    "https://harbour.example/ä/{}/(wiki)'s.",
    "https://hafen-zeitung-übersee.example/{}",
    "https://harbour.example/{}?q=a b&utm_source=own",
    "https://harbour.example/" + "very/" * 60 + "{}",
    "javascript:alert({})",
)


def frame(language: str = "en", marking: Marking = Marking.NONE, **other: object) -> DigestFrame:
    """Return the frame of a daily digest."""
    given: dict[str, object] = {
        "zone": "Europe/Berlin",
        "at": NOW,
        "cadence_slug": "daily",
        "cadence_name": "Daily at 07:00",
        "issue": "run-7",
        "utm": MappingProxyType({"utm_source": "newsletter", "utm_medium": "email"}),
    }
    return DigestFrame(language=language, marking=marking, **(given | other))  # type: ignore[arg-type]  # mixed on purpose


def card(number: int, **other: object) -> ArticleCard:
    """Return article `number`, well-behaved but for what is given."""
    given: dict[str, object] = {
        "title": f"Headline number {number} about ships",
        "url": f"https://harbour.example/a/{number}",
        "summary": f"Summary number {number}. "
        + "Cranes move again on Tuesday and the backlog takes a fortnight. " * 4,
        "source_name": "Harbour Agency",
        "published_at": NOW - datetime.timedelta(minutes=number),
    }
    return ArticleCard(number, **(given | other))  # type: ignore[arg-type]  # mixed on purpose


def hostile_card(number: int, chance: random.Random) -> ArticleCard:
    """Return article `number` as the worst feed would give it."""
    width, height = chance.choice(((None, None), (1200, 675), (1, 1), (300, 4000)))
    return card(
        number,
        title=chance.choice(HOSTILE),
        summary=chance.choice(HOSTILE) + " " + chance.choice(HOSTILE),
        url=chance.choice(URLS).format(number),
        source_name=chance.choice(HOSTILE),
        published_at=chance.choice((None, NOW)),
        image_url=chance.choice(
            ("", "https://harbour.example/p.jpg?w=1&h=2", "http://cdn.example/ü.png", "data:image/png;x")
        ),
        image_width=width,
        image_height=height,
    )


def categories(names: Iterable[str] = ("Business", "Politics", "Investing", "World")) -> list[CategoryFacts]:
    """Return our four categories; the last two have no page on the site."""
    return [
        CategoryFacts(slug, name, f"https://harbour.example/{slug}" if number < 2 else "")
        for number, (slug, name) in enumerate(zip(SLUGS, names, strict=True))
    ]


def composer(language: str = "en", articles: int = 12, **other: object) -> DigestComposer:
    """Return a composer over well-behaved articles."""
    marked = Marking(other.pop("marking", Marking.NONE))
    return DigestComposer(FACTS, frame(language, marked, **other), categories(), map(card, range(articles)))


def links(
    public_url: str = "https://news.example.org", mailto: bool = False, token: str = "AAECAwQFBgcICQoLDA0ODxAR"
) -> PersonalLinks:
    """Return one reader's links."""
    return PersonalLinks(
        f"{public_url}/u/{token}",
        f"{public_url}/leave/{token}",
        f"{public_url}/preferences/{token}",
        f"mailto:leave+{token}@harbour.example?subject=leave" if mailto else "",
    )


def reader(*sections: Section, name: str = "", **other: object) -> ReaderPart:
    """Return a reader's part; by default three articles of two categories."""
    chosen = sections or (Section("business", (0, 1)), Section("world", (2,)))
    return ReaderPart(chosen, links(**other), name)  # type: ignore[arg-type]  # passed through


def envelope(number: int = 1, to: str = "anna@example.org") -> Envelope:
    """Return the envelope of delivery `number`."""
    return Envelope(to, f"<{number}.c0ffee@harbour.example>", f"b+{number}@bounces.harbour.example", NOW)


def random_sections(chance: random.Random, articles: int) -> list[Section]:
    """Return some categories with some articles each, none twice."""
    numbers = chance.sample(range(articles), chance.randint(1, articles))
    chosen = sorted(chance.sample(range(4), chance.randint(1, 4)))
    cuts = sorted(chance.choices(range(1, len(numbers) + 1), k=len(chosen) - 1))
    shares = [numbers[a:b] for a, b in zip((0, *cuts), (*cuts, len(numbers)), strict=True)]
    return [
        Section(SLUGS[at], tuple(share), chance.choice((0, 0, 1, 7))) for at, share in zip(chosen, shares, strict=True)
    ]


def token(chance: random.Random) -> str:
    """Return what a link's token may look like."""
    return "".join(chance.choices(string.ascii_letters + string.digits + "-_", k=chance.randint(20, 40)))
