"""Digests from pieces that were rendered, inlined and encoded once per run, language and zone.

Nothing here is done for a reader, and little for a new set of categories: a section that was laid out before is a few
references to bytes, the first line a pattern and the encoded names in it. So a mail costs the same however many
different sets there are.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from markupsafe import Markup, escape

from newsletter.mail import message, personal, slips
from newsletter.mail.fitting import fit
from newsletter.mail.fragments import Pattern, encode, size, slot
from newsletter.mail.full import Layout
from newsletter.mail.opening import opening
from newsletter.mail.readers import MARKED, SLOTS
from newsletter.mail.shapes import Section
from newsletter.mail.slips import Slip, Weights, Words
from newsletter.mail.stationery import Stationery

_SHARED: Final = {
    name: at for at, name in enumerate(f"{part}:{slot}" for slot in SLOTS[:3] for part in ("txt", "html"))
}
"""The slots that readers with the same sections fill alike, in the order of `Press._filled`."""
_REMEMBERED: Final = 4_096
"""Sections and first lines kept: enough for every category at the usual places, whoever's marks they come from."""


class Piece(NamedTuple):
    """Encoded bytes for each part."""

    txt: bytes
    html: bytes
    size: int
    """Of both, with the longest name and links that may come in."""


class _Block:
    """A section that was laid out before with nothing left out: references to its pieces."""

    __slots__ = ("articles", "count", "html", "row", "short", "size", "txt")

    def __init__(self, section: Section, short: tuple[bytes, bytes], pieces: Sequence[Piece], row: Piece) -> None:
        self.articles = len(section.article_ids)
        self.count = self.articles + section.more
        self.short, self.row = short, row
        self.txt = [piece.txt for piece in pieces]
        self.html = [piece.html for piece in pieces]
        self.size = sum(piece.size for piece in pieces)


class _Line(NamedTuple):
    """The first line for so many articles in so many categories; where which category's name comes in."""

    txt: Pattern
    html: Pattern
    names: tuple[tuple[int, int], ...]


class Press:
    """Lays out the bodies of one run's digests in one language and zone."""

    def __init__(self, paper: Stationery, words: Words, shared: Mapping[str, str], language: str, room: int) -> None:
        """Keep the encoded size of both parts within `room` bytes."""
        self._paper, self._words, self._shared, self._language = paper, words, shared, language
        self._longest = personal.longest(language)
        self._pieces: dict[Slip, Piece] = {}
        self._blocks: dict[tuple[str, tuple[int, ...], int, bool], _Block] = {}
        self._lines: dict[tuple[int, int], _Line] = {}
        self._weights = Weights(lambda slip: self._piece(slip).size)
        self._marked = False
        """Whether a piece holds slots of its own."""
        slots = {name: _markup(slot(name)) for name in SLOTS}
        page = self._make("body", **slots)
        self._body = Pattern(message.body(page.txt, page.html))
        self._room = room - page.size
        self._marked = False
        self._contents = self._make("contents", rows=slots["rows"])
        self._shared_places = [(at, name) for at, name in self._body.places if name in _SHARED]
        self._places = _personal(self._body)

    def body(self, chosen: Sequence[Section]) -> tuple[list[bytes], list[tuple[int, int]]]:
        """Return the body's bytes, and at which places in it which of `personal.own` come in.

        Raises RenderError for articles and categories that are not in this run.
        """
        blocks = [self._block(section, lead=not at) for at, section in enumerate(chosen)]
        txt, html, taken, articles = list[bytes](), list[bytes](), 0, 0
        for block in blocks:
            txt += block.txt
            html += block.html
            taken += block.size
            articles += block.articles
        rows = list[Piece]()
        if articles >= slips.CONTENTS_FROM:
            rows = [block.row for block in blocks[: slips.CONTENTS_ROWS]]
            if len(blocks) == 1:
                rows = [self._piece(slips.row(chosen[0], alone=True))]
            taken += self._contents.size + sum([row.size for row in rows])
        if taken > self._room:
            layout = self.layout(chosen)
            rows = [self._piece(slip) for slip in layout.rows()]
            pieces = [self._piece(slip) for slip in layout.body()]
            txt, html = [piece.txt for piece in pieces], [piece.html for piece in pieces]
        return self._filled(
            (
                *self._line(blocks),
                *self._inside(rows),
                b"".join(txt),
                b"".join(html),
            )
        )

    def layout(self, chosen: Sequence[Section]) -> Layout:
        """Return what of the sections there is room for."""
        rows = Layout.whole(chosen).rows()
        inside = sum(map(self._weights.of, rows)) + self._contents.size if rows else 0
        return Layout(chosen, *fit(chosen, self._weights, self._room - inside))

    def _filled(self, values: Sequence[bytes]) -> tuple[list[bytes], list[tuple[int, int]]]:
        body = self._body
        if self._marked:
            body = Pattern(body.filled({name: (value,) for name, value in zip(_SHARED, values, strict=True)}))
            return body.parts, _personal(body)
        parts = body.parts.copy()
        for at, name in self._shared_places:
            parts[at] = values[_SHARED[name]]
        return parts, self._places

    def _line(self, blocks: Sequence[_Block]) -> tuple[bytes, bytes]:
        key = (sum([block.count for block in blocks]), len(blocks))
        line = self._lines.get(key) or _remembered(self._lines, key, self._new_line(*key))
        txt, html = line.txt.parts.copy(), line.html.parts.copy()
        for at, name in line.names:
            txt[at], html[at] = blocks[name].short
        return b"".join(txt), b"".join(html)

    def _new_line(self, count: int, categories: int) -> _Line:
        words = opening([slot(str(name)) for name in range(categories)], count, self._language)
        txt, html = Pattern(encode(words)), Pattern(encode(str(escape(words))))
        return _Line(txt, html, tuple((at, int(name.removeprefix(":"))) for at, name in txt.places))

    def _inside(self, rows: Sequence[Piece]) -> tuple[bytes, bytes]:
        if not rows:
            return b"", b""
        contents = self._contents
        return (
            Pattern(contents.txt).filled({"txt:rows": [row.txt for row in rows]}),
            Pattern(contents.html).filled({"html:rows": [row.html for row in rows]}),
        )

    def _block(self, section: Section, *, lead: bool) -> _Block:
        key = (section.category, tuple(section.article_ids), section.more, lead)
        return self._blocks.get(key) or _remembered(self._blocks, key, self._new_block(section, lead))

    def _new_block(self, section: Section, lead: bool) -> _Block:
        short = self._words.short(section.category)
        pieces = [self._piece(slip) for slip in slips.pieces(slips.whole(section, lead=lead))]
        return _Block(section, (encode(short), encode(str(escape(short)))), pieces, self._piece(slips.row(section)))

    def _piece(self, slip: Slip) -> Piece:
        if piece := self._pieces.get(slip):
            return piece
        return self._pieces.setdefault(slip, self._make(slip.template, **self._words.on(slip)))

    def _make(self, template: str, **values: object) -> Piece:
        render = self._paper.page if template == "body" else self._paper.part
        values |= {"reader": MARKED, **self._shared}
        txt = encode(self._paper.plain(f"digest/{template}.txt", **values), "txt")
        html = encode(render(f"digest/{template}.html", **values), "html")
        self._marked |= bool(_personal(Pattern(txt)) or _personal(Pattern(html)))
        return Piece(txt, html, size(txt, self._longest) + size(html, self._longest))


_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def _remembered(known: dict[_Key, _Value], key: _Key, value: _Value) -> _Value:
    if len(known) >= _REMEMBERED:
        known.clear()
    known[key] = value
    return value


def _personal(pattern: Pattern) -> list[tuple[int, int]]:
    return [(at, personal.PLACES[name]) for at, name in pattern.places if name in personal.PLACES]


def _markup(mark: str) -> Markup:
    return Markup(mark)  # noqa: S704  (a mark of ours)
