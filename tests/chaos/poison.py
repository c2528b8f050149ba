"""X15: articles and readers that are not what they should be, among many that are."""

from typing import Any, Final

from sqlalchemy import select, update

from newsletter.audience.models import Subscriber
from newsletter.content.models import Article
from newsletter.delivery.models import Delivery
from newsletter.foundation.db import db, transaction
from tests.chaos.ground import Ground
from tests.chaos.result import Result, Size, experiment
from tests.chaos.sink import ACCEPTED
from tests.chaos.stage import staged

ARTICLES: Final[tuple[dict[str, Any], ...]] = (
    {"title": "=?utf-8?q?hi=0d=0aBcc=3a_everyone=40example.org?="},
    {"title": "One\r\nBcc: everyone@example.org\r\n\r\n.\r\nMAIL FROM:<x@example.org>\r\n"},
    {"title": "{{ config }} {% for a in range(10**9) %}{% endfor %} ${7*7} <script>alert(1)</script>"},
    {"title": "\u202egnp.exe \u0000\u0007" + "é" * 3_000, "summary": ".\r\n" * 500},
    {"summary": "<![CDATA[" * 500 + "]]>" * 500, "image_url": "javascript:alert(1)"},
    {"title": "", "summary": "", "url": "https://gazette.example.org/" + "a" * 1_900},
)
READERS: Final = (
    "no at sign",
    "two@@example.org",
    "line\r\nBcc: everyone@example.org",
    "r@example.org> SIZE=1\r\nRCPT TO:<everyone@example.org",
    f"{'l' * 65}@example.org",
    "@example.org",
    "reader@",
    "reader@-example-.org",
    "reader@" + "a" * 64 + ".org",
    "\u202ereader@example.org ",
)
ELSEWHERE: Final = (
    ("jörg@example.org", False),
    ("почта@example.org", False),
    ("jo@bücher.example", True),
    ("jo@日本語.example", True),
)
"""Addresses beyond ASCII, and whether a relay without SMTPUTF8 can take them: those whose domain alone is foreign."""


def x15(ground: Ground, size: Size, seed: int) -> Result:
    """Send a digest of bad articles to bad readers among good ones, through a relay without SMTPUTF8."""
    readers, bad, foreign = (600, 30, 8) if size is Size.CI else (10_000, 100, 20)
    with (
        experiment("X15", size, seed) as result,
        staged(ground, "sqlite", readers, sink=("--no-smtputf8",)) as stage,
    ):
        expected = stage.ask(lambda: _spoil(bad, foreign))
        stage.plan()
        worker = stage.worker()
        stage.over()
        accepted = {one.recipient for one in stage.sink.seen() if one.kind in ACCEPTED}
        rows = stage.ask(lambda: dict(db.session().execute(select(Delivery.subscriber_id, Delivery.state)).all()))
        states = {who: state.value for who, state in rows.items()}
        good = set(range(1, readers + 1)) - set(expected)
        result.exactly("good_ones_not_accepted", sum(states[who] != "accepted" for who in good), 0)
        result.exactly("bad_ones_misjudged", sum(states[who] != wanted for who, wanted in expected.items()), 0)
        result.exactly("arrived", len(accepted), len(good) + sum(want == "accepted" for want in expected.values()))
        result.exactly("strangers", sum("everyone" in one for one in accepted), 0)
        result.exactly("worker_ended", worker.poll() is not None, False)
        result.counts["misjudged"] = [
            f"{who}: {states[who]}" for who, wanted in expected.items() if states[who] != wanted
        ][:5] or 0  # type: ignore[assignment]
    return result


def _spoil(bad: int, foreign: int) -> dict[int, str]:
    """Spoil articles and readers; return which readers, and what must become of each."""
    expected: dict[int, str] = {}
    with transaction() as session:
        for number, change in enumerate(ARTICLES[:3], 1):
            session.execute(update(Article).where(Article.id == number).values(**change))
        for number in range(bad + foreign):
            who = number * 7 + 3
            if number < bad:
                address, wanted = READERS[number % len(READERS)], "failed"
            else:
                local, fine = ELSEWHERE[number % len(ELSEWHERE)]
                address, wanted = f"{number}{local}", "accepted" if fine else "failed"
            expected[who] = wanted
            values = {"address": address, "folded": f"{number} {address}"}
            session.execute(update(Subscriber).where(Subscriber.id == who).values(values))
    return expected
