"""The readers of the story: invented, and the same ones each time."""

import datetime
import enum
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

SEED: Final = 2026
DOMAIN: Final = "readers.example"
"""A name that can never exist (RFC 2606 section 3)."""
LANGUAGES: Final = ("en", "en", "de", "fr", "es", "ar")
ZONES: Final = (
    "Europe/London", "Europe/Berlin", "Africa/Nairobi", "Africa/Cairo", "Asia/Dubai", "Asia/Kolkata", "Asia/Kathmandu",
    "Asia/Tokyo", "Australia/Sydney", "Pacific/Auckland", "Pacific/Honolulu", "America/Los_Angeles", "America/New_York",
    "America/St_Johns", "America/Sao_Paulo",
)  # fmt: skip
"""Zones around the world, those with odd minutes among them."""
_NAMES: Final = {
    "en": ("Alex", "Charlie", "Robin", "Sam", "Jo O'Dell"),
    "de": ("Käthe", "Jürgen", "Björn Weiß", "Ute"),
    "fr": ("Zoé", "Noël", "Françoise", "Aimé"),
    "es": ("Íñigo", "Begoña", "José Ángel", "Lucía"),
    "ar": ("ليلى", "سمير", "نور", "هادي"),
}
_HOUR: Final = datetime.time(7)
_NEAR: Final = datetime.timedelta(minutes=30)


class Answer(enum.Enum):
    """What somebody does with the mail that asks for confirmation."""

    CONFIRMS = "confirms"
    REFUSES = "says it was somebody else"
    IGNORES = "never looks"


@dataclass(frozen=True)
class Reader:
    """Somebody who signs up, and what they will choose."""

    address: str
    name: str
    language: str
    timezone: str
    """Empty: the publication's."""
    cadence: str
    categories: frozenset[str]
    partners: int
    """How many affiliates they agree to hear from, in the form's order."""
    embedded: bool
    """Uses the form on the news site's own pages."""
    answer: Answer


def invent(count: int, categories: Sequence[str], cadences: Sequence[str], zones: Sequence[str]) -> list[Reader]:
    """Return `count` readers who choose among these slugs and zones; four of five at the first cadence.

    The last but one says that somebody else has typed the address, the last one never answers.
    """
    return [
        _invented(
            random.Random(f"{SEED}/{number}"),  # each of their own: one choice more or less changes nobody else
            f"reader-{number:03}@{DOMAIN}",
            {count - 1: Answer.REFUSES, count: Answer.IGNORES}.get(number, Answer.CONFIRMS),
            (categories, cadences, zones),
        )
        for number in range(1, count + 1)
    ]


def _invented(
    chance: random.Random, address: str, answer: Answer, offered: tuple[Sequence[str], Sequence[str], Sequence[str]]
) -> Reader:
    categories, cadences, zones = offered
    embedded = chance.random() < 0.2
    language = "en" if embedded else chance.choice(LANGUAGES)
    return Reader(
        address=address,
        name="" if embedded else chance.choice(("", *_NAMES[language])),
        language=language,
        cadence=cadences[0] if chance.random() < 0.8 else chance.choice(cadences[1:]),
        partners=chance.choice((0, 0, 1, 2)),
        categories=frozenset(chance.sample(categories, chance.randint(1, len(categories)))),
        timezone="" if embedded else chance.choice(("", *zones)),
        embedded=embedded,
        answer=answer,
    )


def quiet(zones: Sequence[str], now: datetime.datetime) -> list[str]:
    """Return those of `zones` where no digest is due by itself soon: one would get between the operator's own."""
    return [zone for zone in zones if not _near(now.astimezone(ZoneInfo(zone)))]


def _near(local: datetime.datetime) -> bool:
    due = local.replace(hour=_HOUR.hour, minute=_HOUR.minute, second=0, microsecond=0)
    return datetime.timedelta(0) <= due - local <= _NEAR
