"""Messages composed: by assembling, beside the same words rendered anew for each; and what many wishes cost."""

import itertools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from bench.figures import Figure, Goal
from bench.measuring import Effort, medians
from bench.naive import NaiveComposer
from newsletter.mail.digest import DigestComposer
from newsletter.mail.shapes import CategoryFacts, Envelope, ReaderPart, Section
from tests.mail import samples

_ARTICLES: Final = 10
_TAKEN: Final = 4
"""Categories that a reader takes."""
_CATEGORIES: Final = 50
_SETS: Final = 100_000
"""Different choices among them: more than any cache holds."""
_MAILS: Final = 20_000
_WARM_UP: Final = 1_000
"""Mails that are not counted, in which each article and heading is rendered, once per run."""
_NAMES: Final = ("Anna Nr. {}", "Bernd Müller {}", "", "Chiara {}", "Dr. Émile Ångström {}")
"""No two readers have the same: what is kept by name is not kept for them."""
_FLAT: Final = Goal("≤", 1.3, of_peer=True)
Mail = tuple[ReaderPart, Envelope]


def measure(effort: Effort) -> Iterator[Figure]:
    """Measure composing alone: no database, no network."""
    cards = [samples.card(number) for number in range(_ARTICLES)]
    composer = DigestComposer(samples.FACTS, samples.frame(), samples.categories(), cards)
    naive = NaiveComposer(samples.FACTS, samples.frame(), samples.categories(), cards)
    mails = [_mail(number, _sections(samples.SLUGS)) for number in range(_MAILS)]
    sheet = composer.sheet(mails[0][0].sections)
    size = len(composer.compose(*mails[0]).content)
    wide, wishes = _wide(), _wishes()
    for mail in wishes[:_WARM_UP]:
        wide.compose(*mail)
    turn = effort.seconds / 3
    kept, anew, theirs, different = medians(
        effort.rounds,
        lambda: _rate(lambda mail: sheet.message(mail[1], mail[0].links, mail[0].name).content, mails, turn),
        lambda: _rate(lambda mail: composer.compose(*mail).content, mails, turn),
        lambda: _rate(lambda mail: naive.compose(*mail), mails, turn),
        lambda: _rate(lambda mail: wide.compose(*mail).content, wishes, turn),
    )
    yield Figure("composing", kept, "mails/s", f"all anew for each, {size / 1000:.0f} kB", theirs)
    beside = f"{_TAKEN} categories, one set"
    yield Figure("composing:flat", 1e6 / different, "µs/mail", beside, 1e6 / anew, _FLAT)
    yield Figure("composing:alone", 1e6 / different, "µs/mail", f"{beside}, its sheet kept", 1e6 / kept)


def _wide() -> DigestComposer:
    """Return the composer of a run with many categories, each with some articles."""
    facts = [CategoryFacts(_slug(number), f"Category {number}") for number in range(_CATEGORIES)]
    cards = [samples.card(number) for number in range(_CATEGORIES * _ARTICLES)]
    return DigestComposer(samples.FACTS, samples.frame(), facts, cards)


def _wishes() -> list[Mail]:
    """Return mails of which no two are of the same categories, all with as many articles."""
    chosen = itertools.combinations(range(_CATEGORIES), _TAKEN)
    sets = random.Random(0).sample(list(chosen), _SETS)
    return [
        _mail(number, _sections([_slug(one) for one in taken], [one * _ARTICLES for one in taken]))
        for number, taken in enumerate(sets)
    ]


def _rate(compose: Callable[[Mail], bytes], mails: list[Mail], seconds: float) -> float:
    begun, made = time.perf_counter(), 0
    while (passed := time.perf_counter() - begun) < seconds:
        place = made % len(mails)
        for mail in mails[place : place + 20]:
            compose(mail)
            made += 1
    return made / passed


def _mail(number: int, sections: Sequence[Section]) -> Mail:
    """Return reader `number`'s part: all articles in four categories, links and a name of their own."""
    chance = random.Random(number)
    reader = samples.reader(*sections, name=chance.choice(_NAMES).format(number), token=samples.token(chance))
    return reader, samples.envelope(number, f"reader-{number}@example.org")


def _sections(slugs: Sequence[str], firsts: Sequence[int] = (0,) * _TAKEN) -> list[Section]:
    """Share the articles out among the categories; those of each are counted from its first."""
    return [
        Section(slug, tuple(first + number for number in range(at, _ARTICLES, _TAKEN)))
        for at, (slug, first) in enumerate(zip(slugs, firsts, strict=True))
    ]


def _slug(number: int) -> str:
    return f"category-{number}"
