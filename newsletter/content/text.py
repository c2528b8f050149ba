"""Plain text out of whatever feeds put into their titles and summaries."""

import html
import re
import sys
import unicodedata
from typing import Final

import nh3

MAX_MARKUP: Final = 64 * 1024
"""Characters of markup that are looked at; what is longer is cut."""

_BIDI: Final = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_INVISIBLE: Final = dict.fromkeys(
    [*map(ord, _BIDI), 0x00AD, 0xFEFF, *range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0080), *range(0xD800, 0xE000)]
    + list(range(0xFDD0, 0xFDF0))
    + [plane + low for plane in range(0, sys.maxunicode, 0x10000) for low in (0xFFFE, 0xFFFF)]
)
"""Gone without a trace: they reorder, hide or break what stands beside them, or cannot be stored."""
_BREAKS: Final = {point: " " for point in range(0x3000) if unicodedata.category(chr(point)) in ("Cc", "Zl", "Zp")}
_CONTROLS: Final = {point: gap for point, gap in _BREAKS.items() if chr(point) not in "\t\n"}

_HIDDEN: Final = {"script", "style", "template", "iframe", "object", "svg", "math", "noscript", "head", "title"}
_BLOCK: Final = re.compile(
    r"<(?=/?(?:p|div|br|hr|li|ul|ol|dl|dt|dd|h[1-6]|tr|td|th|table|blockquote|pre|figure|figcaption|section|article)\b)",
    re.IGNORECASE,
)
_TAG: Final = re.compile(r"<(/?[a-zA-Z!?][^<>]*)>?")
_MARKED_UP: Final = re.compile(
    r"</[a-z][a-z0-9]*\s*>|<(?:br|hr|img|p|wbr)\b[^>]*>|&(?:#[0-9]+|#x[0-9a-f]+|[a-z][a-z0-9]*);", re.IGNORECASE
)
_BOILERPLATE: Final = re.compile(
    r"\s*(?:The post .{1,300} (?:first )?appeared first on|Der Beitrag .{1,300} erschien zuerst auf"
    r"|L[’']article .{1,300} est apparu en premier sur|La entrada .{1,300} (?:se publicó|apareció) primero en"
    r"|L[’']articolo .{1,300} (?:proviene da|sembra essere il primo su)|O post .{1,300} apareceu primeiro em"
    r"|Artykuł .{1,300} pochodzi z serwisu|Het bericht .{1,300} verscheen eerst op|Inlägget .{1,300} dök först upp på)"
    r" .{1,200}$"
)
"""WordPress adds it to each entry in the site's language; it tells the reader nothing."""


def tidy(text: str) -> str:
    """Make `text` one line: no control, bidi or line-separator characters, no surrogates, single spaces."""
    return " ".join(text.translate(_INVISIBLE).translate(_BREAKS).split())


def tidy_markup(markup: str) -> str:
    """Take from `markup` the characters that `tidy` takes, but leave its lines and tabs."""
    return markup.translate(_INVISIBLE).translate(_CONTROLS)


def is_marked_up(text: str) -> bool:
    """Guess whether text that is declared plain has markup all the same, as sloppy feeds do."""
    return _MARKED_UP.search(text) is not None


def plain(markup: str) -> str:
    """Return the text that a browser would show for `markup`, on one line; entities are decoded once.

    What still looks like a tag afterwards is a text about tags. Its brackets become ‹ and ›, so that nobody further
    down, however careless, can take it for a tag again.
    """
    spaced = _BLOCK.sub(" <", tidy_markup(markup[:MAX_MARKUP]))
    text = tidy(html.unescape(nh3.clean(spaced, tags=set(), clean_content_tags=_HIDDEN)))
    return _TAG.sub(lambda tag: f"‹{tag[1]}›", text)


def excerpt(text: str, length: int = 300) -> str:
    """Cut one-line `text` to at most `length` characters, between words where it has any, with an ellipsis."""
    if len(text) <= length:
        return text
    cut = text[: length - 1]
    at = cut.rfind(" ")
    if at > length // 2:
        cut = cut[:at]
    return cut.rstrip(" ,;:–—-.…") + "…"


def summary_of(markup: str) -> str:
    """Return the beginning of the text of `markup`, without what a publishing system adds to each entry."""
    text = _BOILERPLATE.sub("", plain(markup)).replace("[…]", "…").replace("[...]", "…")
    return excerpt(text)
