"""Templates of an operator's own: what they may say of a reader, and what becomes of those that say more."""

from collections.abc import Sequence
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from newsletter.foundation.errors import RenderError
from newsletter.foundation.resources import folder
from newsletter.mail import personal
from newsletter.mail.digest import ROOM, DigestComposer
from newsletter.mail.shapes import Marking, PublicationFacts, ReaderPart, Rendered, Section
from newsletter.mail.stationery import stationery
from tests.mail import samples
from tests.mail.test_assembling import body_of, check_wire, parts

OURS = Path(__file__).resolve().parents[2] / "templates" / "email"


def facts(folder: Path, **files: str) -> PublicationFacts:
    """Lay `files` (`card_html` is digest/card.html) over our templates."""
    for name, source in files.items():
        stem, _, kind = name.rpartition("_")
        path = folder / "email" / ("base" if stem in ("style", "imprint") else "digest") / f"{stem}.{kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return replace(samples.FACTS, templates=folder)


def composer(folder: Path, marking: Marking = Marking.NONE, **files: str) -> DigestComposer:
    return DigestComposer(
        facts(folder, **files), samples.frame("en", marking), samples.categories(), map(samples.card, range(12))
    )


def rendered(one: DigestComposer, name: str = "Anna", sections: Sequence[Section] = ()) -> Rendered:
    """Return a preview, having looked that a mail says the same."""
    part = samples.reader(*sections, name=name)
    shown = one.render(part)
    message = one.compose(part, samples.envelope())
    assert parts(message) == (shown.text, shown.html)
    check_wire(message)
    return shown


def ours(name: str) -> str:
    return (OURS / "digest" / name).read_text(encoding="utf-8")


def test_a_template_laid_over_ours_is_taken_and_the_others_stay(tmp_path: Path) -> None:
    shown = rendered(composer(tmp_path, heading_html='<h2 class="section">* {{ name }} *</h2>'))
    assert ">* Business *</h2>" in shown.html
    assert "\nBusiness\n========" in shown.text


def test_a_template_can_be_built_on_the_one_it_replaces(tmp_path: Path) -> None:
    source = '{% extends "ours/digest/body.html" %}{% block title %}For {{ reader.name }}: {{ super() }}{% endblock %}'
    assert "<title>For Anna: The Harbour Post: Monday" in rendered(composer(tmp_path, body_html=source)).html


@pytest.mark.parametrize("name", ["Anna", "", "<b>Eve</b> & Söhne", 'a" onload="x', *samples.HOSTILE])
def test_the_closed_fields_can_be_printed_anywhere(tmp_path: Path, name: str) -> None:
    one = composer(
        tmp_path,
        card_html='<p title="{{ reader.name }}">{{ card.title }}, {{ reader.name }}{{ reader.for_name }}</p>',
        card_txt="{% trans name=reader.name %}Hello {{ name }}{% endtrans %}: {{ card.title }} {{ card.url }}\n",
        contents_txt="{% if language == 'en' %}{{ rows }}{{ reader.leave }}{% endif %}\n",
        row_html="{% for title in titles %}<p>{{ title }} {{ reader.name }}</p>{% endfor %}",
    )
    sections = Section("business", tuple(range(8))), Section("world", (8, 9))
    shown = rendered(one, name, sections)
    assert not one.renders_in_full
    reader = personal.reader(name, samples.links(), "en")
    assert f"Hello {reader.name}: Headline number 3" in shown.text
    assert f"Headline number 3 about ships, {reader.name}{reader.for_name}</p>" in unescape(shown.html)
    assert one._press is not None
    text, html = one._full.render(one._press.layout(sections), reader)
    assert (shown.text, unescape(shown.html)) == (text, unescape(html))


@pytest.mark.parametrize(
    ("name", "subject"),
    [("Anna", "Anna: the morning"), ("", ": the morning"), ("\r\nBcc: x", "Bcc: x: the morning")],
)
def test_a_subject_may_hold_the_name(tmp_path: Path, name: str, subject: str) -> None:
    one = composer(tmp_path, subject_txt="{{ reader.name }}: the morning")
    assert rendered(one, name).subject == subject
    head = one.compose(samples.reader(name=name), samples.envelope()).content.partition(b"\r\n\r\n")[0]
    assert head.count(b"Subject:") == 1
    assert f"\r\nSubject: {subject}\r\n".encode() in b"\r\n" + head


MORE = [
    "{% if reader.name %}x{% endif %}",
    "{{ 'x' if reader.name else 'y' }}",
    "{{ reader.name | upper }}",
    "{{ reader.name | default('friend') }}",
    "{{ reader.name ~ '!' }}",
    "{{ reader.name[0] }}",
    "{{ reader.name == 'Anna' }}",
    "{{ (reader.name, 1) }}",
    "{% for letter in reader.name %}{{ letter }}{% endfor %}",
    "{% for x in [1] if reader.name %}x{% endfor %}",
    "{% set name = reader.name %}",
    "{% set name %}{{ reader.name }}{% endset %}",
    "{% with name = reader.name %}{{ name }}{% endwith %}",
    "{% set one = reader %}{{ one.name }}",
    "{{ reader['name'] }}",
    "{{ reader | attr('name') }}",
    "{% filter upper %}{{ reader.name }}{% endfilter %}",
    "{% filter wrap %}{% trans name=reader.name %}Hello {{ name }}{% endtrans %}{% endfilter %}",
    "{% filter upper %}{% include 'base/imprint.txt' %}{% endfilter %}",
    "{% filter upper %}{% block x %}{% endblock %}{% endfilter %}",
    "{% macro m() %}{{ reader.name }}{% endmacro %}{{ m() }}",
    "{% macro m(x) %}{{ x }}{% endmacro %}{{ m(reader.name) }}",
    "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}{{ reader.name }}{% endcall %}",
    "{% trans count=reader.name %}one{% pluralize %}more{% endtrans %}",
    "{{ gettext(reader.name) }}",
    "{% include reader.name %}",
    "{% import 'base/kept.css' as kept with context %}",
    "{{ reader.categories | length }}",
    "{{ reader.age }}",
    "{{ reader }}",
    "{% block b %}{% endblock %}{{ self.b() | upper }}",
]


@pytest.mark.parametrize("source", MORE)
@pytest.mark.parametrize("file", ["body_txt", "card_html", "subject_txt"])
def test_what_says_more_of_its_reader_than_it_declares_is_refused_with_the_way_out(
    tmp_path: Path, source: str, file: str
) -> None:
    name = f"digest/{file.replace('_', '.')}"
    with pytest.raises(RenderError, match=rf"{name} .* line 2 .*reader: full") as refused:
        composer(tmp_path, Marking.NONE, **{file: f"one\n{source}\n"}).render(samples.reader())
    assert "reader.name" in str(refused.value)


@pytest.mark.parametrize("slot", ["contents", "articles", "opening"])
def test_what_else_differs_from_reader_to_reader_is_held_to_the_same(tmp_path: Path, slot: str) -> None:
    source = f"{{% if {slot} %}}{{{{ {slot} }}}}{{% endif %}}x"
    with pytest.raises(RenderError, match=r"digest/body\.txt.*reader: full"):
        composer(tmp_path / "one", body_txt=source).render(samples.reader())
    assert composer(tmp_path / "two", body_txt="{# reader: full #}" + source).render(samples.reader()).text


@pytest.mark.parametrize(
    ("source", "name", "text"),
    [
        ("{% if reader.name %}Dear {{ reader.name }}{% else %}Good morning{% endif %}", "Anna", "Dear Anna"),
        ("{% if reader.name %}Dear {{ reader.name }}{% else %}Good morning{% endif %}", "", "Good morning"),
        ("{% for one in reader.categories %}[{{ one }}]{% endfor %}", "", "[Business][World]"),
        ("{{ reader.name | upper }}{{ reader.for_name }}", "Anna", "ANNA · for Anna"),
        ("{% filter wrap %}{{ reader.name }}{% endfilter %}", "\r\nBcc: <b>x</b>", "Bcc: ‹b›x‹/b›"),
    ],
)
def test_a_template_that_declares_it_is_rendered_for_each_reader(
    tmp_path: Path, source: str, name: str, text: str
) -> None:
    one = composer(tmp_path, body_txt="{# reader: full #}\n" + source + "|\n" + ours("body.txt"))
    assert one.renders_in_full
    assert rendered(one, name).in_full
    assert rendered(one, name).text.startswith(text + "|\n")


def test_one_template_s_declaration_counts_wherever_it_is_used_from(tmp_path: Path) -> None:
    one = composer(tmp_path, imprint_txt="{#- reader: full -#}{% if reader.name %}Bye, {{ reader.name }}{% endif %}|\n")
    assert one.renders_in_full
    assert rendered(one).text.endswith("Bye, Anna|\n")
    assert not samples.composer().renders_in_full


def test_rendered_in_full_a_mail_is_what_it_was_assembled(tmp_path: Path) -> None:
    sections = Section("business", tuple(range(8)), 2), Section("world", (8, 9))
    one = composer(tmp_path, body_html="{# reader: full #}" + ours("body.html"))
    assert one.renders_in_full
    for name in samples.HOSTILE:
        part, post = samples.reader(*sections, name=name, mailto=True), samples.envelope()
        full, assembled = one.compose(part, post), samples.composer().compose(part, post)
        assert parts(full)[0] == parts(assembled)[0]
        assert unescape(parts(full)[1]) == unescape(parts(assembled)[1])
        assert sorted(heads(full.content)) == sorted(heads(assembled.content))


def heads(content: bytes) -> list[bytes]:
    return content.partition(b"\r\n\r\n")[0].replace(b"\r\n ", b" ").split(b"\r\n")


def test_rendered_in_full_a_mail_keeps_to_its_room_and_its_markings(tmp_path: Path) -> None:
    cards = [samples.card(number, title="Ж" * 250, summary="Я " * 90) for number in range(60)]
    files = {"body_txt": "{# reader: full #}" + ours("body.txt")}
    one = DigestComposer(facts(tmp_path, **files), samples.frame(), samples.categories(), cards)
    message = one.compose(samples.reader(Section("world", tuple(range(60)))), samples.envelope())
    assert ROOM - 12_000 < len(body_of(message)) < ROOM + 1_000
    assert "more in World on the site" in parts(message)[0]
    part = samples.reader()
    test = composer(tmp_path, Marking.TEST, **files).compose(part, samples.envelope())
    assert part.links.leave not in "".join(parts(test))
    assert b"Subject: [Test] " in test.content


@pytest.mark.parametrize(
    "files",
    [
        {"style_css": ".section + table { color: #123456 }"},
        {"style_css": ".sheet h3 { margin: 9px }"},
        {"card_html": '<tr><td class="story">{{ card.title }}</td></tr>'},
        {"card_html": "<div>{{ card.title }}", "heading_html": "</div>{{ name }}"},
    ],
)
def test_what_comes_out_otherwise_piece_by_piece_is_refused_at_the_first_sheet(
    tmp_path: Path, files: dict[str, str]
) -> None:
    one = composer(tmp_path, Marking.NONE, **files)
    for _ in range(2):
        with pytest.raises(RenderError, match=r"piece by piece.*reader: full"):
            one.sheet(samples.reader().sections)
    declared = {**files, "body_html": "{# reader: full #}" + ours("body.html")}
    assert composer(tmp_path / "declared", Marking.NONE, **declared).render(samples.reader()).html


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("one\n{% if %}", r"digest/card\.html, line 2"),
        ("{{ card.nothing }}", r"digest/card\.html.*nothing"),
        ("{{ nothing }}", r"digest/card\.html.*nothing"),
        ("{{ card.title + 1 }}", r"digest/card\.html"),
        ("{% include 'base/nothing.txt' %}", r"base/nothing\.txt"),
        ("{# reader: partly #}", r"digest/card\.html.*reader: full"),
    ],
)
def test_a_template_that_cannot_be_rendered_is_named(tmp_path: Path, source: str, words: str) -> None:
    with pytest.raises(RenderError, match=words):
        composer(tmp_path, card_html=source).render(samples.reader())


def test_our_own_templates_print_only_what_they_may() -> None:
    for path in OURS.rglob("*.*"):
        stationery(samples.FACTS, "en")._environment.get_template(path.relative_to(OURS).as_posix())


def test_a_reader_for_whom_there_is_nothing_gets_nothing_in_full_either(tmp_path: Path) -> None:
    one = composer(tmp_path, body_txt="{# reader: full #}" + ours("body.txt"))
    with pytest.raises(RenderError, match="nothing new"):
        one.compose(ReaderPart((), samples.links()), samples.envelope())


def test_none_of_our_own_templates_asks_to_be_rendered_in_full() -> None:
    """The composer does not even look."""
    ours = [path for path in (folder("templates") / "email").rglob("*") if path.is_file()]
    assert ours
    assert [path.name for path in ours if "reader: full" in path.read_text()] == []
