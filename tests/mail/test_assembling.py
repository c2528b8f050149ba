"""An assembled mail says what one rendered in full would, whatever stands where pieces meet."""

import base64
import email
import email.policy
import hashlib
import random
import re
from collections.abc import Sequence
from html import unescape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from newsletter.foundation import languages
from newsletter.foundation.errors import RenderError
from newsletter.mail import personal
from newsletter.mail.cards import card as shown
from newsletter.mail.confirmation import ConfirmationLinks, already_subscribed, confirmation, encode
from newsletter.mail.digest import DigestComposer
from newsletter.mail.dkim import Signer
from newsletter.mail.shapes import CategoryFacts, Marking, Message, PersonalLinks, ReaderPart, Section
from newsletter.mail.stationery import stationery
from tests.mail import samples, signing

TRICKS = ("=", ".", "..", "From ", "=3D", "é", "🚢", "я", "ا", " ", "a", "&", "<b>", "'", '"', "%s", "%", "{{ 1 }}")
WORDS = st.lists(st.sampled_from(TRICKS), max_size=90).map("".join)
NAMES = WORDS | st.sampled_from((*samples.HOSTILE, "Anna", "Åsa = О'Нил 🚢", "ليلى"))
TOKENS = st.text(alphabet="AZaz09-_", min_size=1, max_size=100) | st.text(
    alphabet="Aa9-_=.&/%~", min_size=1, max_size=200
)

SHEET = samples.composer().sheet(samples.reader().sections)


def parts(message: Message) -> tuple[str, str]:
    """Return text and HTML as another program reads them."""
    parsed = email.message_from_bytes(message.content, policy=email.policy.default)
    text, html = (part.get_content().replace("\r\n", "\n") for part in parsed.iter_parts())
    return text, html


def body_of(message: Message) -> bytes:
    return message.content.partition(b"\r\n\r\n")[2]


def relaxed(body: bytes) -> bytes:
    """Return the canonical form that DKIM hashes, word for word after RFC 6376 section 3.4.4."""
    lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" \t") for line in body.split(b"\r\n")]
    whole = b"\r\n".join(lines)
    while whole.endswith(b"\r\n\r\n"):
        whole = whole[:-2]
    return whole


def check_wire(message: Message) -> None:
    """Look whether the bytes can go between DATA and the final dot as they are (RFC 5321 section 4.5.2)."""
    content = message.content
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|\0", content)
    assert content.endswith(b"\r\n")
    assert not re.search(rb"^\.|^From ", content, re.MULTILINE)
    assert max(map(len, body_of(message).split(b"\r\n"))) <= 76
    assert relaxed(body_of(message)) == body_of(message)


def naive(composer: DigestComposer, cards: Sequence[int], reader: ReaderPart) -> tuple[str, str]:
    """Render a reader's mail in full, all at once, as templates are usually rendered."""
    frame = samples.frame()
    paper = stationery(samples.FACTS, frame.language)
    articles = {number: shown(samples.card(number), frame.language, frame.zone, frame.utm) for number in cards}
    categories = {category.slug: category for category in samples.categories()}
    total = sum(len(section.article_ids) for section in reader.sections)
    rendered = []
    for kind in ("txt", "html"):
        body, rows = "", ""
        for at, section in enumerate(reader.sections):
            category = categories[section.category]
            body += paper.plain(f"digest/heading.{kind}", name=category.name)
            for number, article in enumerate(section.article_ids):
                form = "full" if at or number else "lead"
                body += paper.plain(f"digest/card.{kind}", card=articles[article], form=form)
            if section.more:
                url = category.url or samples.FACTS.site_url
                body += paper.plain(f"digest/more.{kind}", name=category.name, count=section.more, url=url)
            headlines = 2 if len(reader.sections) > 1 else 5
            titles = [articles[article].title for article in section.article_ids[:headlines]]
            others = len(section.article_ids[headlines:]) + section.more
            rows += paper.plain(f"digest/row.{kind}", name=category.name, titles=titles, others=others)
        own = {
            "name": reader.name,
            "for_name": f" · for {reader.name}" if reader.name else "",
            "leave": reader.links.leave,
            "preferences": reader.links.preferences,
        }
        names = [categories[section.category].name for section in reader.sections]
        count = total + sum(section.more for section in reader.sections)
        values = {
            "opening": f"{count} new in {' and '.join(filter(None, (', '.join(names[:-1]), names[-1])))}",
            "contents": Markup(paper.plain(f"digest/contents.{kind}", rows=Markup(rows))) if total > 6 else "",
            "articles": Markup(body),
        }
        words = {"date": "Monday, 23 November 2026", "cadence": frame.cadence_name, "marking": "none"}
        page = paper.plain(f"digest/body.{kind}", reader=own, **values, **words)
        rendered.append(paper._inliner.inline(page) + "\n" if kind == "html" else page)
    return rendered[0], rendered[1]


def reader(sections: Sequence[Section], tokens: Sequence[str], name: str) -> ReaderPart:
    paths = zip(("u", "leave", "preferences"), tokens, strict=True)
    links = PersonalLinks(*(f"https://news.example.org/{path}/{token}" for path, token in paths))
    return ReaderPart(sections, links, name)


def worded(chance: random.Random) -> str:
    return "".join(chance.choices(TRICKS, k=chance.randint(1, 90)))


LETTERS = ("A", "n", "é", "я", "ل", "ç", "京", "9", " ", "-", ".", "'", "’", "_", "²", "From ", "\u0301", "\u3164")
GIVEN = st.lists(st.sampled_from(LETTERS), max_size=66).map("".join) | st.text(max_size=70) | NAMES


@settings(max_examples=1_000)
@given(GIVEN, st.sampled_from(list(languages.LANGUAGES)))
def test_a_plain_name_comes_out_as_if_it_were_not_known_to_be_plain(name: str, language: str) -> None:
    assert personal._named(name, language) == personal._named_otherwise(name, language)


@pytest.mark.parametrize("length", [40, 59, 60, 61, 62, 63, 64])
@pytest.mark.parametrize("letter", ["a", "é", "京"])
@pytest.mark.parametrize("language", list(languages.LANGUAGES))
def test_a_name_that_just_fits_a_line_or_just_does_not_is_the_same_either_way(
    length: int, letter: str, language: str
) -> None:
    for name in (
        letter * (length // len(letter.encode())),
        letter * length,
        "F" + "rom Anna" * (length // 8),
        "O'" * (length // 2 - 1) + "O",
    ):
        assert personal._named(name, language) == personal._named_otherwise(name, language)


COMPOSERS: dict[tuple[str, int], tuple[DigestComposer, list[CategoryFacts]]] = {}


def composer(language: str, seed: int) -> DigestComposer:
    """Return one of a few composers over articles and categories full of boundaries."""
    if (language, seed) not in COMPOSERS:
        chance = random.Random(seed)
        cards = [
            samples.card(number, title=worded(chance), summary=worded(chance) * 2, source_name=worded(chance))
            for number in range(12)
        ]
        categories = samples.categories([worded(chance) for _ in samples.SLUGS])
        frame = samples.frame(language, cadence_name=worded(chance))
        COMPOSERS[language, seed] = DigestComposer(samples.FACTS, frame, categories, cards), categories
    return COMPOSERS[language, seed][0]


@settings(max_examples=150, deadline=None)
@given(
    st.randoms(use_true_random=False),
    st.sampled_from(list(languages.LANGUAGES)),
    st.integers(0, 2),
    st.lists(TOKENS, min_size=3, max_size=3),
    NAMES,
)
def test_parts_equal_a_full_render_of_the_same_templates(
    chance: random.Random, language: str, seed: int, tokens: list[str], name: str
) -> None:
    one = composer(language, seed)
    part = reader([section for section in samples.random_sections(chance, 12) if section.article_ids], tokens, name)
    message = one.compose(part, samples.envelope())
    assert one._press is not None
    expected = one._full.render(one._press.layout(part.sections), personal.reader(name, part.links, language))
    text, html = parts(message)
    assert text == expected[0]
    assert unescape(html) == unescape(expected[1])
    rendered = one.render(part)
    assert (rendered.text, rendered.html) == (text, html)
    check_wire(message)


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from(("", "Anna", "Åsa = О'Нил 🚢", "ليلى")))
def test_an_assembled_mail_equals_one_rendered_in_full(chance: random.Random, name: str) -> None:
    composer = samples.composer()
    sections = [section for section in samples.random_sections(chance, 12) if section.article_ids]
    reader = ReaderPart(sections, samples.links(token=samples.token(chance)), name)
    text, html = parts(composer.compose(reader, samples.envelope()))
    expected_text, expected_html = naive(composer, range(12), reader)
    assert text == expected_text
    assert html.replace("&#39;", "'") == expected_html  # the inliner writes the one as the other


@pytest.mark.parametrize("language", list(languages.LANGUAGES))
@pytest.mark.parametrize("categories", [1, 2, 3, 4, 5, 13, 50])
def test_the_first_line_and_contents_are_right_for_any_number_of_categories(language: str, categories: int) -> None:
    slugs = [f"c{number}" for number in range(categories)]
    facts = [CategoryFacts(slug, f"100 % {slug}" if at % 2 else f"Ä & {slug}.") for at, slug in enumerate(slugs)]
    one = DigestComposer(samples.FACTS, samples.frame(language), facts, map(samples.card, range(categories * 7)))
    sections = [Section(slug, tuple(range(at * 7, at * 7 + 7)), at % 3) for at, slug in enumerate(slugs)]
    part = reader(sections, ("a", "b", "c"), "Anna")
    assert one._press is not None
    expected = one._full.render(one._press.layout(sections), personal.reader("Anna", part.links, language))
    text, html = parts(one.compose(part, samples.envelope()))
    assert (text, unescape(html)) == (expected[0], unescape(expected[1]))


def test_one_sheet_serves_readers_who_share_nothing_but_their_sections() -> None:
    one = samples.composer()
    sections = (Section("business", (0, 1)), Section("world", (2,)))
    sheet = one.sheet(sections)
    for number, name in enumerate(samples.HOSTILE):
        part = ReaderPart(sections, samples.links(token=f"token-{number}"), name)
        post = samples.envelope(number, f"reader-{number}@example.org")
        assert sheet.message(post, part.links, name) == samples.composer().compose(part, post)


@pytest.mark.parametrize("kind", ["digest", "full", "confirmation", "already subscribed"])
def test_what_is_signed_is_what_leaves(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    signer, post = Signer([signing.key("nl202611")]), samples.envelope()
    if kind in ("digest", "full"):
        one = samples.composer()
        if kind == "full":
            one._press = None
        part = samples.reader(name="Anna")
        unsigned, signed = one.compose(part, post), one.compose(part, post, signer)
    else:
        links = ConfirmationLinks("https://news.example.org/confirm/abc", "https://news.example.org/not-me/abc")
        mail = (
            confirmation(samples.FACTS, "en", links, samples.NOW - samples.NOW.replace(day=21))
            if kind == "confirmation"
            else already_subscribed(samples.FACTS, "en", "https://news.example.org/preferences/abc")
        )
        unsigned, signed = encode(samples.FACTS, mail, post), encode(samples.FACTS, mail, post, signer)
    field, content = signed.content[: -len(unsigned.content)], signed.content[-len(unsigned.content) :]
    assert content == unsigned.content
    tags = dict(re.findall(rb"(?:^|;)(\w+)=([^;]*)", re.sub(rb"\s", b"", field.partition(b":")[2])))
    assert tags[b"bh"] == base64.b64encode(hashlib.sha256(relaxed(body_of(signed))).digest())
    assert int(tags[b"t"]) == int(post.date.timestamp())
    names = [one.name.lower() for one in signing.fields_of(content.partition(b"\r\n\r\n")[0] + b"\r\n")]
    assert set(names) <= set(tags[b"h"].decode().lower().split(":"))


def test_what_a_list_says_of_itself_leads_to_people_and_pages() -> None:
    parsed = email.message_from_bytes(samples.composer().compose(samples.reader(), samples.envelope()).content)
    assert {
        name: value for name, value in parsed.items() if name.startswith("List-") and "Unsubscribe" not in name
    } == {
        "List-Id": '"The Harbour Post: Daily at 07:00" <daily.lists.harbour.example>',
        "List-Help": "<mailto:desk@harbour.example?subject=help>",
        "List-Owner": "<mailto:desk@harbour.example>",
        "List-Archive": "<https://harbour.example/>",
        "List-Subscribe": "<https://news.example.org/subscribe>",
        "List-Post": "NO",
    }


def test_all_readers_of_an_issue_have_one_feedback_id() -> None:
    chance, one = random.Random(5), samples.composer()
    seen = set()
    for number in range(40):
        sections = [section for section in samples.random_sections(chance, 12) if section.article_ids]
        part = ReaderPart(sections, samples.links(token=samples.token(chance)), chance.choice(samples.HOSTILE))
        message = one.compose(part, samples.envelope(number))
        seen.add(email.message_from_bytes(message.content)["Feedback-ID"])
    assert seen == {"run-7:daily:digest:harbourpost"}


@pytest.mark.parametrize(
    "links",
    [
        {"leave": "https://news.example.org/leave/a b"},
        {"leave": "https://news.example.org/leave/\r\nx"},
        {"leave": "http://news.example.org/leave/a"},
        {"leave": "https://news.example.org/leave/" + "a" * 300},
        {"preferences": 'https://news.example.org/"><script>/a'},
        {"preferences": "javascript:alert(1)"},
        {"one_click": "https://news.example.org/u/a>,\r\n <https://evil.example"},
        {"one_click": "https://news.example.org/u/a\r\nBcc: all@example.org"},
        {"one_click": "http://news.example.org/u/a"},
        {"one_click": "https://news.example.org/u/é"},
        {"one_click": "https://news.example.org/u/" + "a" * 990},
        {"mailto": "mailto:a@b.example>, <https://evil.example"},
        {"mailto": "mailto:a@b.example\r\nBcc: all@example.org"},
    ],
)
def test_a_link_that_mail_cannot_carry_stops_the_mail(links: dict[str, str]) -> None:
    with pytest.raises(RenderError):
        SHEET.message(samples.envelope(), samples.links()._replace(**links))


@given(st.sampled_from(("to", "message_id")), st.text(max_size=40), st.booleans())
def test_no_envelope_adds_a_line_to_the_head(field: str, text: str, mailto: bool) -> None:
    sheet, post = SHEET, samples.envelope()
    plain = sheet.message(post, samples.links(mailto=mailto)).content.partition(b"\r\n\r\n")[0]
    hostile = {
        "to": post._replace(to=f"{text}@example.org"),
        "message_id": post._replace(message_id=f"<{text}@harbour.example>"),
    }[field]
    try:
        message = sheet.message(hostile, samples.links(mailto=mailto))
    except RenderError:
        return
    head = message.content.partition(b"\r\n\r\n")[0]
    assert re.findall(rb"^[A-Za-z-]+(?=:)", head, re.MULTILINE) == re.findall(rb"^[A-Za-z-]+(?=:)", plain, re.MULTILINE)
    assert len(head.split(b"\r\n")) == len(plain.split(b"\r\n"))


@pytest.mark.parametrize("marking", [Marking.TEST, Marking.COPY])
def test_no_sheet_of_a_test_or_copy_holds_anybody_s_links(marking: Marking) -> None:
    sheet = samples.composer(marking=marking).sheet(samples.reader().sections)
    assert b"AAECAwQFBgcICQoLDA0ODxAR" not in sheet.message(samples.envelope(), samples.links()).content
