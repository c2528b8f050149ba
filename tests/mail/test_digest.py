"""What a reader finds in a digest, and that assembling it changes nothing about it."""

import email
import email.policy
import quopri
import re
from html import unescape
from html.parser import HTMLParser

import pytest

from newsletter.foundation import languages
from newsletter.foundation.errors import RenderError
from newsletter.mail.digest import DigestComposer
from newsletter.mail.shapes import CategoryFacts, Marking, Message, ReaderPart, Section
from tests.mail import samples


class Links(HTMLParser):
    """The web addresses an HTML part links to."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]


def parts(message: Message) -> tuple[str, str]:
    """Return text and HTML as another program reads them."""
    parsed = email.message_from_bytes(message.content, policy=email.policy.default)
    text, html = (part.get_content().replace("\r\n", "\n") for part in parsed.iter_parts())
    return text, html


def flat(text: str) -> str:
    return " ".join(text.split())


def test_a_preview_shows_what_is_sent() -> None:
    composer, reader = samples.composer(), samples.reader(name="Anna")
    message = composer.compose(reader, samples.envelope())
    rendered = composer.render(reader)
    assert (rendered.text, rendered.html) == parts(message)
    assert f"Subject: {rendered.subject}\r\n".encode() in message.content


def test_both_parts_hold_the_same_articles_and_links_in_the_same_order() -> None:
    rendered = samples.composer().render(samples.reader(Section("politics", (5, 3)), Section("world", (1,), 4)))
    in_text = re.findall(r"https://\S+", rendered.text)
    assert in_text == [link for link in Links(rendered.html).found if not link.startswith("mailto:")]
    assert [re.sub(r"\?.*", "", link) for link in in_text[:4]] == [
        "https://harbour.example/a/5",
        "https://harbour.example/a/3",
        "https://harbour.example/a/1",
        "https://harbour.example/",  # the rest of World, which has no page of its own
    ]
    for number in (5, 3, 1):
        for part in (rendered.text, rendered.html):
            assert f"Headline number {number} about ships" in part


def test_only_links_to_articles_carry_campaign_parameters() -> None:
    rendered = samples.composer().render(samples.reader(Section("business", (0,), 2)))
    links = re.findall(r"https://\S+", rendered.text)
    assert [link for link in links if "utm_" in link] == [
        "https://harbour.example/a/0?utm_source=newsletter&utm_medium=email"
    ]
    assert "https://harbour.example/business" in links


@pytest.mark.parametrize(
    ("sections", "line"),
    [
        ((Section("world", (1,)),), "1 new in World"),
        ((Section("business", (0, 1), 4), Section("world", (2,))), "7 new in Business and World"),
        (
            tuple(Section(slug, (at,)) for at, slug in enumerate(samples.SLUGS)),
            "4 new in Business, Politics, Investing and World",
        ),
    ],
)
def test_the_first_line_says_what_is_inside(sections: tuple[Section, ...], line: str) -> None:
    rendered = samples.composer().render(samples.reader(*sections))
    assert rendered.text.startswith(line + "\n")
    words = re.sub(r"\s+", " ", re.sub(r"<(title|style).*?</\1>|<[^>]*>", "", rendered.html, flags=re.DOTALL))
    assert words.strip().startswith(line)


def test_the_first_line_stays_short_with_many_long_names() -> None:
    names = [f"A category with a rather long name, number {number}" for number in range(50)]
    categories = [CategoryFacts(f"c{number}", name) for number, name in enumerate(names)]
    composer = DigestComposer(samples.FACTS, samples.frame(), categories, map(samples.card, range(50)))
    sections = [Section(f"c{number}", (number,)) for number in range(50)]
    line = composer.render(samples.reader(*sections)).text.partition("\n")[0]
    assert line.endswith("and 47 other categories")
    assert len(line) <= 130


@pytest.mark.parametrize(("articles", "listed"), [(6, False), (7, True)])
def test_a_contents_list_helps_from_seven_articles_on(articles: int, listed: bool) -> None:
    half = articles // 2
    sections = Section("business", tuple(range(half))), Section("world", tuple(range(half, articles)))
    rendered = samples.composer().render(samples.reader(*sections))
    assert ("Inside:" in rendered.text) is listed
    assert rendered.html.count("Headline number 0 about ships") == (2 if listed else 1)


def test_subject_is_the_first_headline_or_the_fixed_text_with_its_date() -> None:
    reader = samples.reader(Section("world", (4, 2)))
    assert samples.composer().render(reader).subject == "Headline number 4 about ships"
    fixed = samples.composer(subject_text="Fwd: Your\r\nmorning")
    assert fixed.render(reader).subject == "Your morning: Monday, 23 November 2026"


def test_a_headline_of_nothing_leaves_a_subject_and_a_link() -> None:
    cards = [samples.card(0, title="\u202e \x00", url="https://harbour.example/a/0")]
    composer = DigestComposer(samples.FACTS, samples.frame(), samples.categories(), cards)
    rendered = composer.render(samples.reader(Section("world", (0,))))
    assert rendered.subject == "harbour.example/a/0"
    assert ">harbour.example/a/0</a>" in rendered.html


@pytest.mark.parametrize("marking", [Marking.TEST, Marking.COPY])
def test_tests_and_copies_are_marked_and_hold_no_link_of_a_reader(marking: Marking) -> None:
    reader = samples.reader()
    message = samples.composer(marking=marking).compose(reader, samples.envelope())
    token = reader.links.leave.rpartition("/")[2]
    assert token not in quopri.decodestring(message.content).decode()
    text, html = parts(message)
    for part in (text, html):
        assert "change nothing" in flat(part)
    assert (b"Subject: [Test] Headline" in message.content) is (marking is Marking.TEST)


def test_every_digest_says_who_sends_it_why_and_how_to_leave() -> None:
    reader = samples.reader()
    rendered = samples.composer().render(reader)
    for part in (rendered.text, unescape(rendered.html)):
        for words in (
            "12 Quay Street, 10115 Port Example",
            "You get this mail because",
            "Unsubscribe",
            "Daily at 07:00",
        ):
            assert words in flat(part)
        for link in (reader.links.leave, reader.links.preferences, samples.FACTS.privacy_url):
            assert link in part
        assert reader.links.one_click not in part


def test_headers_name_the_list_and_the_one_click_address() -> None:
    message = samples.composer().compose(samples.reader(mailto=True), samples.envelope())
    parsed = email.message_from_bytes(message.content)
    assert parsed["List-Unsubscribe"].replace("\r\n", "").strip() == (
        "<https://news.example.org/u/AAECAwQFBgcICQoLDA0ODxAR>, "
        "<mailto:leave+AAECAwQFBgcICQoLDA0ODxAR@harbour.example?subject=leave>"
    )
    assert parsed["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert parsed["List-Id"] == '"The Harbour Post: Daily at 07:00" <daily.lists.harbour.example>'
    assert parsed["Feedback-ID"] == "run-7:daily:digest:harbourpost"
    assert parsed["X-Auto-Response-Suppress"] == "OOF, AutoReply"
    assert parsed["Date"] == "Mon, 23 Nov 2026 06:00:00 +0000"
    assert (message.recipient, message.smtputf8) == ("anna@example.org", False)


def test_text_is_set_in_72_columns_but_for_links() -> None:
    rendered = samples.composer().render(samples.reader(name="Anna"))
    assert all(len(line) <= 72 for line in rendered.text.split("\n") if not line.startswith("https://"))


def test_arabic_runs_from_right_to_left_without_spaced_letters() -> None:
    html = samples.composer("ar").render(samples.reader()).html
    assert '<html lang="ar" dir="rtl"' in html
    assert 'align="right"' in html
    assert "text-align: right" in html
    assert "letter-spacing" not in html


def test_words_of_feeds_and_readers_are_escaped() -> None:
    cards = [samples.card(0, title='"><img src=x onerror=alert(1)>', summary="<b onclick='x'>", source_name="A & B")]
    composer = DigestComposer(samples.FACTS, samples.frame(), samples.categories(), cards)
    html = composer.render(samples.reader(Section("world", (0,)), name="<i>{{ 7*7 }}</i> <3 & C")).html
    assert "<img" not in html
    assert "<b" not in html.replace("<body", "").replace("<bdi", "").replace("<br", "")
    assert "<i>" not in html
    assert "A &amp; B" in html
    assert "{{ 7*7 }}‹/i› &lt;3 &amp; C" in html


def test_a_counting_pixel_is_no_picture() -> None:
    for width, height, pictures in ((1, 1, 0), (1200, 675, 1), (None, None, 1), (100, 900, 0)):
        cards = [samples.card(0, image_url="https://harbour.example/p", image_width=width, image_height=height)]
        composer = DigestComposer(samples.FACTS, samples.frame(), samples.categories(), cards)
        assert composer.render(samples.reader(Section("world", (0,)))).html.count("<img") == pictures


@pytest.mark.parametrize(
    "words", [("Заголовок о кораблях 🚢 " * 8, "Краткое содержание 🗞️ " * 12), ("=" * 300, "=" * 190)]
)
@pytest.mark.parametrize("share", [500, 125, 1])
def test_500_articles_end_in_more_on_the_site_and_a_whole_footer(words: tuple[str, str], share: int) -> None:
    slugs = [f"c{number}" for number in range(500 // share)]
    categories = [CategoryFacts(slug, f"Рубрика {slug}") for slug in slugs]
    cards = [samples.card(number, title=words[0], summary=words[1]) for number in range(500)]
    composer = DigestComposer(samples.FACTS, samples.frame(), categories, cards)
    sections = [Section(slug, tuple(range(at * share, (at + 1) * share)), 3) for at, slug in enumerate(slugs)]
    reader = samples.reader(*sections)
    message = composer.compose(reader, samples.envelope())
    text, html = parts(message)
    body = message.content.partition(b"\r\n\r\n")[2]
    assert 60_000 < len(body) <= 96_000
    assert len(html.encode()) <= 96_000
    assert "12 Quay Street" in html
    assert body.find(b"/leave/", len(body) // 2) < 95_000
    assert html.rstrip().endswith("</html>")
    left_out = sum(int(number) for number in re.findall(r"^(\d+) more (?:in|on) ", flat_lines(text), re.MULTILINE))
    assert left_out + text.count("/a/") == 500 + 3 * len(slugs)
    assert text.startswith(f"{500 + 3 * len(slugs):,} new in")


def flat_lines(text: str) -> str:
    return text.replace(",", "")


def test_the_contents_list_names_no_section_that_was_dropped() -> None:
    categories = [CategoryFacts(f"c{number}", f"Category {number}") for number in range(8)]
    cards = [samples.card(number, title="Ж" * 250) for number in range(160)]
    composer = DigestComposer(samples.FACTS, samples.frame(), categories, cards)
    sections = [Section(f"c{number}", tuple(range(number * 20, number * 20 + 20))) for number in range(8)]
    text = composer.render(samples.reader(*sections)).text
    listed = re.findall(r"^\* (Category \d):", text, re.MULTILINE)
    assert listed == re.findall(r"^(Category \d)$", text, re.MULTILINE)
    assert 0 < len(listed) < 8


def test_a_little_too_much_costs_summaries_from_the_end_first() -> None:
    cards = [samples.card(number, title="Ж" * 40, summary=f"Я{number}" * 63) for number in range(36)]
    composer = DigestComposer(samples.FACTS, samples.frame(), samples.categories(), cards)
    rendered = composer.render(samples.reader(Section("world", tuple(range(36)))))
    assert rendered.text.count("https://harbour.example/a/") == 36
    kept = [number for number in range(36) if f"Я{number}Я{number}" in rendered.text]
    assert 0 < len(kept) < 36
    assert kept == list(range(len(kept)))
    assert "on the site" not in rendered.text


@pytest.mark.parametrize(
    "sections",
    [(), (Section("world", (), 3),), (Section("world", (99,)),), (Section("nowhere", (1,)),)],
)
def test_what_cannot_be_made_is_refused(sections: tuple[Section, ...]) -> None:
    with pytest.raises(RenderError):
        samples.composer().compose(ReaderPart(sections, samples.links()), samples.envelope())


def test_a_reader_whose_links_are_not_https_gets_no_mail() -> None:
    with pytest.raises(RenderError):
        samples.composer().compose(samples.reader(public_url="http://news.example.org"), samples.envelope())


@pytest.mark.parametrize("language", list(languages.LANGUAGES))
def test_every_language_can_be_rendered(language: str) -> None:
    sections = [Section(slug, (at, at + 4, at + 8), at) for at, slug in enumerate(samples.SLUGS)]
    assert samples.composer(language).render(samples.reader(*sections, name="Anna")).subject
