"""Read a web page as a visitor does: its forms with what they offer, its links, named facts and the rows of its tables.

A form refuses what it does not offer. So nothing is sent that a person could not have sent with the same page.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final, Self
from urllib.parse import urljoin

from newsletter.demo.errors import StoryError

_PRESSED: Final = frozenset({"submit", "button", "image", "reset"})
_TICKED: Final = frozenset({"checkbox", "radio"})


@dataclass
class Control:
    """One control of a form (HTML, section 4.10)."""

    kind: str
    name: str
    value: str = ""
    on: bool = False
    """Ticked, or for an option of a select chosen."""
    label: str = ""
    """Of an option: its words."""


@dataclass
class Form:
    """A form of a page at `page`."""

    page: str
    action: str
    """Absolute."""
    controls: list[Control] = field(default_factory=list)

    def offered(self, name: str) -> list[str]:
        """Return the values that can be chosen for `name`, in the page's order."""
        return [one.value for one in self.controls if one.name == name]

    def option(self, name: str, label: str) -> str:
        """Return the value of the option of the select `name` that reads `label`; raise StoryError if there is none."""
        for one in self.controls:
            if one.name == name and one.label == label:
                return one.value
        raise StoryError(f"The form at {self.page} offers no {name} “{label}”.")

    def fill(self, wanted: Mapping[str, str | Collection[str]]) -> list[tuple[str, str]]:
        """Return what the form sends with `wanted` typed, ticked, chosen or pressed; the rest stays as it came.

        Raises StoryError for what the form does not offer.
        """
        left = {name: {value} if isinstance(value, str) else set(value) for name, value in wanted.items()}
        sent = []
        for one in self.controls:
            asked = left.get(one.name)
            if one.kind == "hidden":
                sent.append((one.name, one.value))
            elif one.kind in _PRESSED or one.kind in _TICKED or one.kind == "option":
                if one.value in asked if asked is not None else one.on and one.kind not in _PRESSED:
                    sent.append((one.name, one.value))
                    (asked or set()).discard(one.value)
            else:
                sent.append((one.name, asked.pop() if asked else one.value))
        for name, values in left.items():
            if values:
                raise StoryError(f"The form at {self.page} offers no {name} “{', '.join(sorted(values))}”.")
        return sent


class Reading(HTMLParser):
    """What is on a page."""

    def __init__(self, url: str) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self.links: dict[str, str] = {}
        """The words of a link to its absolute address; of several with the same words the first."""
        self.facts: dict[str, str] = {}
        """Terms of description lists to what stands beside them."""
        self.rows: list[list[str]] = []
        """Of all tables: the words of their cells."""
        self.areas: dict[str, str] = {}
        """Ids of areas of text to what stands in them."""
        self._url = url
        self._main = False
        self._open: Form | None = None
        self._select = ""
        self._words: list[str] = []
        self._text: list[str] = []
        self._cell: list[str] = []
        self._href = self._term = self._area = ""

    @classmethod
    def of(cls, html: str, url: str) -> Self:
        """Read the page `html` that was found at `url`."""
        reading = cls(url)
        reading.feed(html)
        reading.close()
        return reading

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "main":
            self._main = True
        elif tag == "form":
            self._open = Form(self._url, urljoin(self._url, given.get("action") or self._url))
            self.forms.append(self._open)
        elif tag == "select":
            self._select = given.get("name", "")
        elif tag in ("input", "button", "option", "textarea"):
            self._control(tag, given)
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self._cell = []
        if tag in ("a", "dt", "dd", "textarea", "option"):
            self._words = []
            self._href = given.get("href", "") if tag == "a" else ""
            self._area = given.get("id", "") if tag == "textarea" else ""

    def _control(self, tag: str, given: Mapping[str, str]) -> None:
        name = self._select if tag == "option" else given.get("name", "")
        if self._open is None or not name:
            return
        kind = {"option": "option", "textarea": "text"}.get(tag, given.get("type", "submit" if tag == "button" else ""))
        value = given.get("value", "on" if kind in _TICKED else "")
        self._open.controls.append(Control(kind, name, value, bool(given.keys() & {"checked", "selected"})))

    def handle_endtag(self, tag: str) -> None:
        if tag == "main":
            self._main = False
        elif tag == "form":
            self._open = None
        elif tag == "select":
            self._choose_first()
        elif tag == "option" and self._open is not None:
            self._open.controls[-1].label = _plain(self._words)
        elif tag in ("th", "td") and self.rows:
            self.rows[-1].append(_plain(self._cell))
        elif tag == "textarea":
            self._fill_area("".join(self._words).removeprefix("\n"))
        elif tag == "a" and self._href:
            self.links.setdefault(_plain(self._words), urljoin(self._url, self._href))
            self._href = ""
        elif tag == "dt":
            self._term = _plain(self._words)
        elif tag == "dd":
            self.facts.setdefault(self._term, _plain(self._words))

    def _fill_area(self, text: str) -> None:
        self.areas[self._area] = text
        if self._open is not None:
            self._open.controls[-1].value = text

    def _choose_first(self) -> None:
        """Choose the first option of a select of which none is marked, as browsers do."""
        options = [one for one in self._open.controls if one.name == self._select] if self._open else []
        if options and not any(one.on for one in options):
            options[0].on = True
        self._select = ""

    def handle_data(self, data: str) -> None:
        self._words.append(data)
        self._cell.append(data)
        if self._main:
            self._text.append(data)

    @property
    def words(self) -> str:
        """All of the page's main part."""
        return _plain(self._text)


def _plain(parts: Sequence[str]) -> str:
    return " ".join(" ".join(parts).split())
