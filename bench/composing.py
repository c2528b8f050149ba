"""Messages composed per second: by assembling, beside the same words rendered, inlined and packed for each reader."""

import random
import time
from collections.abc import Callable, Iterator
from typing import Final

from bench.figures import Figure
from bench.measuring import Effort, medians
from bench.naive import NaiveComposer
from newsletter.mail.digest import DigestComposer
from newsletter.mail.shapes import Envelope, ReaderPart, Section
from tests.mail import samples

_ARTICLES: Final = 10
_NAMES: Final = ("Anna", "Bernd Müller", "", "Chiara", "Dr. Émile Ångström")
Mail = tuple[ReaderPart, Envelope]


def measure(effort: Effort) -> Iterator[Figure]:
    """Measure composing alone: no database, no network."""
    cards = [samples.card(number) for number in range(_ARTICLES)]
    composer = DigestComposer(samples.FACTS, samples.frame(), samples.categories(), cards)
    naive = NaiveComposer(samples.FACTS, samples.frame(), samples.categories(), cards)
    mails = [_mail(number) for number in range(2000)]
    size = len(composer.compose(*mails[0]).content)
    ours, theirs = medians(
        effort.rounds,
        lambda: _rate(lambda mail: composer.compose(*mail).content, mails, effort.seconds / 3),
        lambda: _rate(lambda mail: naive.compose(*mail), mails, effort.seconds / 3),
    )
    peer = f"all anew for each, {size / 1000:.0f} kB"
    yield Figure("composing", ours, "mails/s", peer, theirs)


def _rate(compose: Callable[[Mail], bytes], mails: list[Mail], seconds: float) -> float:
    begun, made = time.perf_counter(), 0
    while (passed := time.perf_counter() - begun) < seconds:
        for mail in mails[made % len(mails) :][:20]:
            compose(mail)
            made += 1
    return made / passed


def _mail(number: int) -> Mail:
    """Return reader `number`: all articles in four categories, links and a name of their own."""
    chance = random.Random(number)
    sections = [Section(slug, tuple(range(at, _ARTICLES, len(samples.SLUGS)))) for at, slug in enumerate(samples.SLUGS)]
    reader = samples.reader(*sections, name=chance.choice(_NAMES), token=samples.token(chance))
    return reader, samples.envelope(number, f"reader-{number}@example.org")
