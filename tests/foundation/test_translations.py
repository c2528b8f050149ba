"""The catalogues are whole, say the same as the English words, and nothing that a reader sees is left in English."""

import datetime
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser

import pytest
from babel.messages import Catalog, Message
from flask import Flask

from newsletter.app import create_app
from newsletter.foundation import languages
from newsletter.foundation.links import Link
from newsletter.foundation.settings import Settings
from newsletter.mail.confirmation import ConfirmationLinks, already_subscribed, confirmation
from newsletter.mail.digest import DigestComposer
from newsletter.mail.shapes import Marking, Rendered, Section
from scripts import words
from tests.mail import samples
from tests.web.site import CATEGORIES, IDENTITY, Site

OTHERS = [language for language in languages.LANGUAGES if language != languages.SOURCE]
LEAVING = {"de": "abmelden", "fr": "désinscri", "es": "darse de baja", "ar": "إلغاء"}
"""What a reader looks for who wants no more mail."""
DATA = {
    *CATEGORIES,
    "Business · World",
    "Acme Tours",
    IDENTITY.name,
    IDENTITY.postal_address,
    *languages.LANGUAGES.values(),
}
"""What a site calls its own things, whatever the reader speaks."""


@pytest.fixture
def make() -> Callable[[Settings], Flask]:
    """The applications of these tests have pages."""
    return create_app


@pytest.fixture(scope="module")
def gathered() -> Catalog:
    """All words in the sources, as they are now."""
    return words.gather()


def forms(message: Message) -> list[str]:
    """Return the English words, singular and plural."""
    return list(message.id) if isinstance(message.id, (list, tuple)) else [message.id]


def said(message: Message) -> list[str]:
    """Return the translation, in each of the language's plural forms."""
    return [message.string or ""] if isinstance(message.string, str | None) else list(message.string)


def messages(language: str) -> Iterator[Message]:
    return (message for message in words.read(language) if message.id)


# The catalogues.


@pytest.mark.parametrize("language", OTHERS)
def test_every_message_in_the_sources_is_translated_and_no_other(gathered: Catalog, language: str) -> None:
    catalogue = words.read(language)
    wanted = {tuple(forms(message)) for message in gathered if message.id}
    held = {tuple(forms(message)) for message in catalogue if message.id}
    lacking = wanted - held | {tuple(forms(message)) for message in words.unfinished(catalogue)}
    what_to_do = f"run `make words`, then translate in newsletter/translations/{language}.po: "
    assert not lacking, what_to_do + " | ".join(sorted(one[-1] for one in lacking))
    assert held == wanted, "run `make words`: these are said nowhere any more"


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_has_its_plural_forms(language: str) -> None:
    catalogue = words.read(language)
    assert catalogue.num_plurals == {"ar": 6}.get(language, 2)
    assert {len(said(message)) for message in messages(language) if message.pluralizable} == {catalogue.num_plurals}
    chosen = {languages.catalogue(language).ngettext("%(count)s more", "%(count)s more", n) for n in range(200)}
    assert len(chosen) == len({form for m in messages(language) if forms(m)[0] == "%(count)s more" for form in said(m)})


def test_arabic_counts_as_its_grammar_does() -> None:
    line = languages.catalogue("ar").ngettext
    one = ("%(count)s more on the site", "%(count)s more on the site")
    assert line(*one, 1) == "مقال آخر على الموقع"
    assert line(*one, 2) == "مقالان آخران على الموقع"
    assert {line(*one, n) for n in (3, 10, 103)} == {"%(count)s مقالات أخرى على الموقع"}
    assert {line(*one, n) for n in (11, 99, 111)} == {"%(count)s مقالًا آخر على الموقع"}
    assert {line(*one, n) for n in (100, 101, 102, 200)} == {"%(count)s مقال آخر على الموقع"}


def placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"%\([a-z_]+\)[a-z]|%.", text))


@pytest.mark.parametrize("language", OTHERS)
def test_placeholders_are_those_of_the_english_words(language: str) -> None:
    counts = {"%(num)s", "%(num)d", "%(count)s"}
    spoken = languages.catalogue(language)
    for message in messages(language):
        wanted = placeholders(forms(message)[-1])
        for text in said(message):
            if not message.pluralizable:
                assert placeholders(text) == wanted, text
                continue
            # The figure may be left to the grammar (a dual says it) where the form stands for one number alone.
            one, many = forms(message)
            numbers = [n for n in range(1000) if spoken.ngettext(one, many, n) == text]
            alone = len(numbers) <= 1 or numbers == [0, 1]
            rest = [name for name in wanted if name not in counts]
            assert placeholders(text) in ([wanted, rest] if alone else [wanted]), text


@pytest.mark.parametrize("language", OTHERS)
def test_messages_are_words_and_no_markup(language: str) -> None:
    """Pages take them as safe, also inside attributes."""
    for message in messages(language):
        for text in [*forms(message), *said(message)]:
            assert not re.search(r'[<>&"\n]', text), text
            assert text == text.strip(), text


@pytest.mark.parametrize("language", OTHERS)
def test_a_catalogue_names_no_date_machine_or_line(language: str) -> None:
    text = (words.FOLDER / f"{language}.po").read_text(encoding="utf-8")
    assert "-Date:" not in text
    for line in text.splitlines():
        if line.startswith("#: "):
            assert all(re.fullmatch(r"(newsletter|templates)/[\w/.-]+[a-z]", place) for place in line[3:].split()), line


@pytest.mark.parametrize("language", OTHERS)
def test_merging_the_same_words_again_changes_nothing(gathered: Catalog, language: str) -> None:
    once = words.merge(words.read(language), gathered)
    assert words.merge(words.read(language, once), gathered) == once


def test_a_reworded_message_waits_for_a_translator_and_is_english_meanwhile() -> None:
    before = words.read("de", 'msgid ""\nmsgstr ""\n\nmsgid "Leave all our mails"\nmsgstr "Alles abmelden"\n')
    sources = Catalog()
    sources.add("Leave all of our mails")
    after = words.read("de", words.merge(before, sources))
    assert [message.id for message in words.unfinished(after)] == ["Leave all of our mails"]
    assert said(after["Leave all of our mails"]) == ["Alles abmelden"]


# What readers see.


class Seen(HTMLParser):
    """The texts of a page: each node and each attribute that is read out, without what is data by its kind."""

    _SILENT = frozenset({"script", "style", "option", "textarea", "bdi"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: set[str] = set()
        self._inside: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self._SILENT:
            self._inside.append(tag)
        for name, value in attrs:
            if name in ("alt", "title", "aria-label", "placeholder") and value:
                self.texts.add(value)

    def handle_endtag(self, tag: str) -> None:
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.texts.add(" ".join(data.split()))


def left_over(english: set[str], other: set[str], language: str) -> set[str]:
    """Return the texts that are the same in both languages and should not be."""
    alike = [form for message in messages(language) for form in forms(message) if form in said(message)]
    patterns = [re.sub(r"%\\\([a-z_]+\\\)s", ".*", re.escape(one)) for one in alike]
    return {
        text
        for text in english & other - DATA
        if re.search(r"[^\W\d]", text)
        and not re.search(r"https?://|@", text)
        and not any(re.fullmatch(pattern, text) for pattern in patterns)
    }


def pages(site: Site, language: str) -> dict[str, str]:
    """Return every page that readers see, as one reader of `language` comes upon them."""
    browser = site.app.test_client()
    in_ours = f"?language={language}"
    shown = {
        path: browser.get(path + in_ours).text for path in ("/subscribe", "/subscribe/received", "/subscribe/embed")
    }
    shown["missing"] = browser.post("/subscribe", data={"language": language, "address": "ada@gmial"}).text
    mistyped = site.form(address="ada@gmial.com", language=language, consent=str(site.text_id("newsletter", language)))
    shown["mistyped"] = browser.post("/subscribe", data=mistyped).text
    confirmation_id = site.asked(**(mistyped | {"address": f"{language}@reader.example.org"}))
    shown["not me"] = browser.get(site.not_me(confirmation_id)).text
    confirm = site.confirm(confirmation_id)
    shown["confirm"] = browser.get(confirm).text
    shown["confirmed"] = browser.post(confirm, data={"act": "confirm"}).text
    shown["confirmed before"] = browser.get(confirm).text
    reader = site.reader(**(mistyped | {"address": f"second-{language}@reader.example.org"}))
    for link in (Link.LEAVE, Link.PREFERENCES):
        shown[link.value] = browser.get(site.link(link, reader)).text
    for path, acts in (
        (site.link(Link.PREFERENCES, reader), ({"act": "save"}, {"act": "pause", "weeks": "0"}, {"act": "resume"})),
        (site.link(Link.LEAVE, reader), ({"act": "pause", "weeks": "2"}, {"act": "leave"}, {"act": "leave_all"})),
    ):
        shown |= {str(act): browser.post(path, data=act).text for act in acts}
    shown["nothing here"] = browser.get(f"/leave/nonsense{in_ours}").text
    return shown


def test_no_page_for_readers_keeps_an_english_word(app: Flask) -> None:
    site = Site(app)
    english = {name: Seen(page).texts for name, page in pages(site, "en").items()}
    for language in OTHERS:
        for name, page in pages(site, language).items():
            assert f'lang="{language}" dir="{languages.direction(language)}"' in page, (language, name)
            assert left_over(english[name], Seen(page).texts, language) == set(), (language, name)


def mails(language: str) -> dict[str, Rendered]:
    """Return every mail that readers get; articles are numbers, so that all words are ours."""
    links = ConfirmationLinks("https://news.example.org/confirm/abc", "https://news.example.org/not-me/abc")
    cards = [samples.card(n, title=str(n), summary=str(n), source_name=str(n)) for n in range(40)]
    reader = samples.reader(Section("business", tuple(range(20)), 3), Section("world", (20,), 1), name="")
    found = {
        "confirmation": confirmation(samples.FACTS, language, links, datetime.timedelta(days=2)),
        "already subscribed": already_subscribed(samples.FACTS, language, "https://news.example.org/preferences/abc"),
    }
    for marking in Marking:
        frame = samples.frame(language, marking, subject_text="1")
        digest = DigestComposer(samples.FACTS, frame, samples.categories(("1", "2", "3", "4")), cards)
        found[f"digest {marking.value}"] = digest.render(reader)
    return found


@pytest.mark.parametrize("language", OTHERS)
def test_no_mail_keeps_an_english_word(language: str) -> None:
    data = {samples.FACTS.name, *samples.FACTS.postal_address.splitlines()}
    for (name, english), other in zip(mails("en").items(), mails(language).values(), strict=True):
        assert left_over(Seen(english.html).texts - data, Seen(other.html).texts, language) == set(), name
        assert left_over(set(english.text.splitlines()) - data, set(other.text.splitlines()), language) == set(), name
        assert left_over({english.subject}, {other.subject}, language) == set(), name


@pytest.mark.parametrize("language", OTHERS)
def test_the_text_of_a_digest_has_the_readers_word_for_leaving(language: str) -> None:
    assert LEAVING[language] in mails(language)["digest none"].text.lower()


@pytest.mark.parametrize("language", OTHERS)
def test_consent_names_both_companies_and_that_it_can_be_taken_back(language: str) -> None:
    texts = [said(m)[0] for m in messages(language) if any("consent.py" in place for place, _ in m.locations)]
    newsletter, affiliate = (text for text in texts if "%(publication)s" in text)
    assert affiliate.count("%(affiliate)s") == 2
    taken_back = {"de": "jederzeit widerrufen", "fr": "à tout moment", "es": "en cualquier momento", "ar": "في أي وقت"}
    assert taken_back[language] in newsletter
    assert taken_back[language] in affiliate
