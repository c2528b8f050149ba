"""Bodies of articles: a small set of tags, absolute links, no way to run or load anything (standards F27, I3).

Done once, when an entry is read; what it gives may be shown as it stands.
"""

import html
import re
from typing import Final
from urllib.parse import urlsplit

import nh3

from newsletter.content.text import MAX_MARKUP, tidy_markup
from newsletter.content.urls import web_url

_TAGS: Final = {
    "a", "abbr", "b", "blockquote", "br", "cite", "code", "dd", "del", "div", "dl", "dt", "em", "figcaption", "figure",
    "h2", "h3", "h4", "hr", "i", "img", "ins", "li", "ol", "p", "pre", "q", "s", "small", "strong", "sub", "sup",
    "table", "tbody", "td", "th", "thead", "tr", "u", "ul",
}  # fmt: skip
_ATTRIBUTES: Final = {
    "*": {"dir", "lang", "title"},
    "a": {"href"},
    "img": {"alt", "height", "src", "width"},
    "ol": {"start"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
}
_VALUES: Final = {
    "dir": re.compile(r"ltr|rtl|auto"),
    "lang": re.compile(r"[A-Za-z0-9-]{1,35}"),
    **dict.fromkeys(("height", "width", "start", "colspan", "rowspan"), re.compile(r"[0-9]{1,4}")),
}
_HIDDEN: Final = {"script", "style", "template", "iframe", "object", "svg", "math", "noscript", "head", "title"}
_IMAGE: Final = re.compile(r'<img((?: [a-z]+="[^"]*")*) ?/?>')
_PIXEL: Final = re.compile(r' (?:width|height)="[01]"')
_COUNTER: Final = re.compile(
    r' src="https?://(?:feeds\.feedburner\.com/~|feedads\.g\.doubleclick\.net/|feeds\.wordpress\.com/1\.0/'
    r"|(?:stats|pixel)\.(?:wordpress|wp)\.com/|[^/\"]*/piwik\.php|[^/\"]*/matomo\.php)"
)
"""Pictures that only count who looks."""
_EMOJI: Final = re.compile(r' src="https://s\.w\.org/images/core/emoji/')
_DECORATION: Final = re.compile(r"(?:icon|logo|avatar|badge|button|spacer|pixel|blank)[^/]*$", re.IGNORECASE)


def clean_html(markup: str, base: str) -> str:
    """Return `markup` safe to show, its links absolute against `base`; images without an address or of one pixel go."""

    def allow(_tag: str, name: str, value: str) -> str | None:
        if name == "href":
            return _link(value, base) or None
        if name == "src":
            return web_url(value, base) or None
        if name in _VALUES:
            return value if _VALUES[name].fullmatch(value) else None
        return value

    clean = nh3.clean(
        tidy_markup(markup[:MAX_MARKUP]),
        tags=_TAGS,
        clean_content_tags=_HIDDEN,
        attributes=_ATTRIBUTES,
        attribute_filter=allow,
        url_schemes={"http", "https", "mailto"},
        link_rel=None,
    )
    return _IMAGE.sub(_picture, clean).strip()


def html_of(text: str) -> str:
    """Return plain `text` as HTML: paragraphs at empty lines, breaks at line ends."""
    paragraphs = re.split(r"\n\s*\n", text.replace("\r\n", "\n").replace("\r", "\n").strip())
    return "".join(
        f"<p>{html.escape(part.strip()).replace(chr(10), '<br>')}</p>" for part in paragraphs if part.strip()
    )


def first_image(clean: str) -> str:
    """Return the address of the first picture in sanitised `clean` that does not look like decoration, or nothing."""
    for image in _IMAGE.finditer(clean):
        found = re.search(r' src="([^"]*)"', image[1])
        if found and not _DECORATION.search(found[1]):
            return html.unescape(found[1])
    return ""


def _picture(image: re.Match[str]) -> str:
    """Keep pictures; turn WordPress's pictures of emoji back into text; drop what shows nothing."""
    attributes = image[1]
    if _EMOJI.search(attributes):
        alternative = re.search(r' alt="([^"]*)"', attributes)
        return alternative[1] if alternative else ""
    if ' src="' not in attributes or _PIXEL.search(attributes) or _COUNTER.search(attributes):
        return ""
    return image[0]


def _link(value: str, base: str) -> str:
    if value.strip().lower().startswith("mailto:"):
        try:
            address = urlsplit(value.strip()).path  # the address only: no prefilled subject, body or further recipients
        except ValueError:
            return ""
        return f"mailto:{address}" if re.fullmatch(r"[^\s@,;?&%<>\"']+@[^\s@,;?&%<>\"']+", address) else ""
    return web_url(value, base)
