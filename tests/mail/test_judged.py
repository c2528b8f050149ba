"""Messages of a thousand readers, most of them hostile, before an independent judge of the mail standards."""

import os
import random
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from newsletter.mail.confirmation import ConfirmationLinks, already_subscribed, confirmation, encode
from newsletter.mail.digest import DigestComposer
from newsletter.mail.shapes import ArticleCard, Marking, Message, PublicationFacts, ReaderPart
from tests.mail import samples

JUDGE = Path(__file__).resolve().parents[3] / "shared" / "judge" / "mail.py"

pytestmark = pytest.mark.corpus


def judge(folder: Path, messages: list[Message], *options: str) -> str:
    if not JUDGE.exists():
        if os.environ.get("CI") == "true":  # noqa: TID251  (a test may ask where it runs)
            pytest.fail(f"The judge of mails is missing: {JUDGE}")
        pytest.skip(f"The judge of mails is not there: {JUDGE}")
    for number, message in enumerate(messages):
        (folder / f"{number:04}.eml").write_bytes(message.content)
    done = subprocess.run([sys.executable, JUDGE, folder, *options], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def digests(language: str, count: int, seed: int, public_url: str, **links: bool) -> list[Message]:
    chance = random.Random(seed)
    cards: list[ArticleCard] = [
        samples.hostile_card(number, chance) if chance.random() < 0.7 else samples.card(number) for number in range(30)
    ]
    names = chance.sample(samples.HOSTILE, 4)
    composer = DigestComposer(
        samples.FACTS, samples.frame(language, cadence_name=names[0]), samples.categories(names), cards
    )
    return [
        composer.compose(
            ReaderPart(
                samples.random_sections(chance, 30),
                samples.links(public_url, token=samples.token(chance), **links),
                chance.choice(samples.HOSTILE),
            ),
            samples.envelope(seed * 1000 + number, chance.choice(("a@example.org", "b.c+d@übersee.example"))),
        )
        for number in range(count)
    ]


def test_hostile_digests_under_a_public_https_address_have_no_violation(tmp_path: Path) -> None:
    messages = [m for seed in range(40) for m in digests("en", 25, seed, "https://news.example.org", mailto=True)]
    assert judge(tmp_path, messages).splitlines()[-1] == "1000 messages, 0 violations {}"


@pytest.mark.parametrize("public_url", ["http://127.0.0.1:8000", "http://localhost:8000"])
def test_digests_of_a_trial_on_this_machine_have_no_violation(tmp_path: Path, public_url: str) -> None:
    messages = [m for seed in range(3) for m in digests("en", 15, seed, public_url)]
    assert judge(tmp_path, messages, "--loopback").splitlines()[-1] == "45 messages, 0 violations {}"


@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "ar"])
def test_every_language_and_marking_has_no_violation(tmp_path: Path, language: str) -> None:
    messages = digests(language, 10, 99, "https://news.example.org", mailto=True)
    assert judge(tmp_path, messages).splitlines()[-1] == "10 messages, 0 violations {}"


@pytest.mark.parametrize("marking", [Marking.TEST, Marking.COPY])
def test_tests_and_copies_have_no_violation(tmp_path: Path, marking: Marking) -> None:
    message = samples.composer(marking=marking).compose(samples.reader(), samples.envelope())
    assert judge(tmp_path, [message], "--loopback").splitlines()[-1] == "1 messages, 0 violations {}"


@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "ar"])
def test_system_mails_have_no_violation(tmp_path: Path, language: str) -> None:
    facts: PublicationFacts = samples.FACTS
    links = ConfirmationLinks("https://news.example.org/confirm/abc", "https://news.example.org/not-me/abc")
    mails = [
        confirmation(facts, language, links, timedelta(days=2)),
        already_subscribed(facts, language, "https://news.example.org/preferences/abc"),
    ]
    messages = [encode(facts, mail, samples.envelope(number)) for number, mail in enumerate(mails)]
    assert judge(tmp_path, messages).splitlines()[-1] == "2 messages, 0 violations {}"
