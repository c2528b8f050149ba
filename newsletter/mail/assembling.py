"""Digests from pieces that were rendered, inlined and encoded once per run, language and zone.

Nothing here is done for a reader, and little for a new set of categories: a section that was laid out before is bytes
that all sets with it share, the first line a pattern and the encoded names in it. So a mail costs the same however many
different sets there are.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from markupsafe import Markup, escape

from newsletter.mail import message, personal, slips
from newsletter.mail.fitting import fit
from newsletter.mail.fragments import Pattern, encode, mark, size, slot, split
from newsletter.mail.full import Layout
from newsletter.mail.opening import opening
from newsletter.mail.readers import MARKED, SLOTS
from newsletter.mail.shapes import Section
from newsletter.mail.sheet import Body
from newsletter.mail.slips import Slip, Weights, Words
from newsletter.mail.stationery import Stationery

_SHARED: Final = {
    name: at for at, name in enumerate(f"{part}:{slot}" for slot in SLOTS[:3] for part in ("txt", "html"))
}
"""The slots that readers with the same sections fill alike, in the order of `Press._filled`."""
_OWN: Final = {at: name for name, at in personal.PLACES.items()}
_REMEMBERED: Final = 512
"""Sections and first lines kept: every category at the usual places, whoever's marks they come from. Each section holds
its bytes once."""


class Piece(NamedTuple):
    """Encoded bytes for each part."""

    txt: bytes
    html: bytes
    size: int
    """Of both, with the longest name and links that may come in."""


class _Block(NamedTuple):
    """A section that was laid out before with nothing left out: its pieces in a row, shared by all sheets with it."""

    txt: bytes
    html: bytes
    size: int
    articles: int
    more: int
    name_txt: bytes
    """In the first line."""
    name_html: bytes
    row_txt: bytes
    """In the contents list."""
    row_html: bytes
    row_size: int


class _Line(NamedTuple):
    """The first line for so many articles in so many categories, for names to come in by `%`."""

    txt: bytes
    html: bytes
    names: Sequence[int]
    """Which category's, in order."""


class Press:
    """Lays out the bodies of one run's digests in one language and zone."""

    def __init__(self, paper: Stationery, words: Words, shared: Mapping[str, str], language: str, room: int) -> None:
        """Keep the encoded size of both parts within `room` bytes."""
        self._paper, self._words, self._shared, self._language = paper, words, shared, language
        self._longest = personal.longest(language)
        self._pieces: dict[Slip, Piece] = {}
        self._blocks: dict[Section, _Block] = {}
        self._leads: dict[Section, _Block] = {}
        self._lines: dict[tuple[int, int], _Line] = {}
        self._weights = Weights(lambda slip: self._piece(slip).size)
        self._marked = False
        """Whether a piece holds slots of its own."""
        slots = {name: _markup(slot(name)) for name in SLOTS}
        page = self._encoded(self._said("body", "txt", slots), paper.whole(self._said("body", "html", slots)))
        self._stretches = _stretches(Pattern(message.body(page.txt, page.html)))
        self._room = room - page.size
        self._marked = False
        rows = {"rows": slots["rows"]}
        self._contents = self._encoded(
            self._said("contents", "txt", rows), paper.styled(self._said("contents", "html", rows))
        )
        self._inside = split(self._contents.txt, "txt:rows"), split(self._contents.html, "html:rows")

    def body(self, chosen: Sequence[Section]) -> Body:
        """Return the body with what `personal.own` returns still to come in.

        Raises RenderError for articles and categories that are not in this run.
        """
        lead, known = chosen[0], self._blocks
        blocks = [self._leads.get(lead) or self._new_block(self._leads, lead)]
        blocks += [known.get(section) or self._new_block(known, section) for section in chosen[1:]]
        txt: list[bytes] = []
        html: list[bytes] = []
        names_txt: list[bytes] = []
        names_html: list[bytes] = []
        rows_txt: list[bytes] = []
        rows_html: list[bytes] = []
        taken = shown = left = listed = 0
        for of_txt, of_html, size_of, articles, more, name_txt, name_html, row_txt, row_html, row_size in blocks:
            txt.append(of_txt)
            html.append(of_html)
            taken += size_of
            shown += articles
            left += more
            names_txt.append(name_txt)
            names_html.append(name_html)
            rows_txt.append(row_txt)
            rows_html.append(row_html)
            listed += row_size
        if shown < slips.CONTENTS_FROM:
            rows_txt, rows_html, listed = [], [], 0
        elif len(blocks) == 1:
            alone = self._piece(slips.row(lead, alone=True))
            rows_txt, rows_html, listed = [alone.txt], [alone.html], alone.size
        else:
            del rows_txt[slips.CONTENTS_ROWS :], rows_html[slips.CONTENTS_ROWS :]
        if taken + listed + self._contents.size > self._room:
            layout = self.layout(chosen)
            rows = [self._piece(slip) for slip in layout.rows()]
            rows_txt, rows_html = [row.txt for row in rows], [row.html for row in rows]
            pieces = [self._piece(slip) for slip in layout.body()]
            txt, html = [piece.txt for piece in pieces], [piece.html for piece in pieces]
        line_txt, line_html, order = self._line(shown + left, len(blocks))
        return self._filled(
            (
                (line_txt % tuple([names_txt[at] for at in order]),),
                (line_html % tuple([names_html[at] for at in order]),),
                _listed(self._inside[0], rows_txt),
                _listed(self._inside[1], rows_html),
                txt,
                html,
            )
        )

    def layout(self, chosen: Sequence[Section]) -> Layout:
        """Return what of the sections there is room for."""
        rows = Layout.whole(chosen).rows()
        inside = sum(map(self._weights.of, rows)) + self._contents.size if rows else 0
        return Layout(chosen, *fit(chosen, self._weights, self._room - inside))

    def _filled(self, values: Sequence[Sequence[bytes]]) -> Body:
        parts: list[bytes] = []
        places: list[tuple[int, int]] = []
        for fixed, own, what in self._stretches:
            if own is not None:
                places.append((len(parts), own))
            parts.append(fixed)
            if what is not None:
                parts += values[what]
        if not self._marked:
            return Body(parts, places)
        for at, own in places:
            parts[at] = mark(_OWN[own])
        pattern = Pattern(b"".join(parts))
        return Body(pattern.parts, [(at, personal.PLACES[name]) for at, name in pattern.places])

    def _line(self, count: int, categories: int) -> _Line:
        key = (count, categories)
        return self._lines.get(key) or _remembered(self._lines, key, self._new_line(count, categories))

    def _new_line(self, count: int, categories: int) -> _Line:
        words = opening([slot(str(name)) for name in range(categories)], count, self._language)
        txt, html = (Pattern(encode(form).replace(b"%", b"%%")) for form in (words, str(escape(words))))
        names = [name for _, name in txt.places]
        hole = dict.fromkeys(names, (b"%b",))
        return _Line(txt.filled(hole), html.filled(hole), [int(name.removeprefix(":")) for name in names])

    def _new_block(self, known: dict[Section, _Block], section: Section) -> _Block:
        whole = slips.whole(section, lead=known is self._leads)
        *pieces, row = self._ready([*slips.pieces(whole), slips.row(section)])
        short = self._words.short(section.category)
        block = _Block(
            txt=b"".join([piece.txt for piece in pieces]),
            html=b"".join([piece.html for piece in pieces]),
            size=sum(piece.size for piece in pieces),
            articles=len(section.article_ids),
            more=section.more,
            name_txt=encode(short),
            name_html=encode(str(escape(short))),
            row_txt=row.txt,
            row_html=row.html,
            row_size=row.size,
        )
        return _remembered(known, section, block)

    def _piece(self, slip: Slip) -> Piece:
        return self._pieces.get(slip) or self._ready([slip])[0]

    def _ready(self, wanted: Sequence[Slip]) -> list[Piece]:
        """Return pieces, those that are new made in one go: to read the styles takes longer than to set them."""
        new = [slip for slip in wanted if slip not in self._pieces]
        said = [(slip.template, self._words.on(slip)) for slip in new]
        styled = self._paper.parts([self._said(template, "html", words) for template, words in said]) if new else []
        for slip, (template, words), html in zip(new, said, styled, strict=True):
            self._pieces[slip] = self._encoded(self._said(template, "txt", words), html)
        return [self._pieces[slip] for slip in wanted]

    def _said(self, template: str, kind: str, words: Mapping[str, object]) -> str:
        return self._paper.plain(f"digest/{template}.{kind}", **words, reader=MARKED, **self._shared)

    def _encoded(self, words: str, styled: str) -> Piece:
        txt, html = encode(words, "txt"), encode(styled, "html")
        self._marked |= any(name in personal.PLACES for wire in (txt, html) for _, name in Pattern(wire).places)
        return Piece(txt, html, size(txt, self._longest) + size(html, self._longest))


_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def _remembered(known: dict[_Key, _Value], key: _Key, value: _Value) -> _Value:
    if len(known) >= _REMEMBERED:
        known.clear()
    known[key] = value
    return value


def _listed(inside: Sequence[bytes], rows: Sequence[bytes]) -> Sequence[bytes]:
    """Return the contents list as pieces, empty without rows."""
    if not rows:
        return ()
    listed = [inside[0]]
    for part in inside[1:]:
        listed += rows
        listed.append(part)
    return listed


def _stretches(page: Pattern) -> list[tuple[bytes, int | None, int | None]]:
    """Return the page in order: bytes, or which of a reader's own instead; then which of the shared values."""
    found: list[tuple[bytes, int | None, int | None]] = []
    for at in range(0, len(page.parts), 2):
        name = page.parts[at + 1].decode() if at + 1 < len(page.parts) else ""
        found.append((page.parts[at], None, _SHARED.get(name)))
        if name in personal.PLACES:
            found.append((b"", personal.PLACES[name], None))
    return found


def _markup(mark: str) -> Markup:
    return Markup(mark)  # noqa: S704  (a mark of ours)
