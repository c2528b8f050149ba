"""The paper that mails are written on: templates in one language, styles in one publication's colours.

Templates live in templates/email, a folder for each mail. Their words are English and are translated by gettext.
"""

import functools
import textwrap
from typing import Final

import css_inline
import jinja2
from markupsafe import Markup

from newsletter.foundation import languages
from newsletter.foundation.resources import folder
from newsletter.mail import colour
from newsletter.mail.cleaning import prose
from newsletter.mail.fragments import slot
from newsletter.mail.shapes import PublicationFacts

_COLUMNS: Final = 72


@functools.cache
def _environment(language: str) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder("templates") / "email"),
        autoescape=jinja2.select_autoescape(("html",)),
        undefined=jinja2.StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.policies["ext.i18n.trimmed"] = True
    # Added to the environment by the extension itself, hence unknown to the type.
    environment.install_gettext_translations(  # type: ignore[attr-defined]
        languages.catalogue(language), newstyle=True
    )
    environment.filters["wrap"] = wrap
    environment.globals.update(
        slot=lambda name: Markup(slot(name)),  # noqa: S704  (a mark of ours, from a template of ours)
        language=language,
        direction=languages.direction(language),
        start="right" if languages.direction(language) == "rtl" else "left",
        end="left" if languages.direction(language) == "rtl" else "right",
    )
    return environment


class Stationery:
    """Renders the templates of one language for one publication; styles are on the elements, nothing is fetched."""

    def __init__(self, facts: PublicationFacts, language: str) -> None:
        self._environment = _environment(language)
        self._words = {
            "facts": facts,
            "publication": prose(facts.name, 64),
            "postal": [prose(line, 120) for line in facts.postal_address.splitlines() if line.strip()],
            "accent": colour.readable(facts.accent_light, colour.WHITE),
            "accent_dark": colour.readable(facts.accent_dark, colour.NIGHT),
            "ink_on": colour.ink_on,
        }
        self._css = self.plain("base/style.css")
        self._inliner = css_inline.CSSInliner(
            extra_css=self._css, load_remote_stylesheets=False, keep_style_tags=False, base_url=None
        )

    def plain(self, template: str, **words: object) -> str:
        """Render `template` as it is."""
        return self._environment.get_template(template).render(self._words, **words)

    def page(self, template: str, **words: object) -> str:
        """Render an HTML template that is a whole document."""
        return self._inliner.inline(self.plain(template, **words)) + "\n"

    def part(self, template: str, **words: object) -> str:
        """Render an HTML template that is a piece of a document."""
        return self._inliner.inline_fragment(self.plain(template, **words), self._css)


@functools.lru_cache(maxsize=64)
def stationery(facts: PublicationFacts, language: str) -> Stationery:
    """Return the paper for a publication and language, made once."""
    return Stationery(facts, language)


def wrap(text: str) -> str:
    """Set each line of `text` in 72 columns; words longer than that, such as links, stay whole."""
    return "\n".join(
        "\n".join(textwrap.wrap(line, _COLUMNS, break_long_words=False, break_on_hyphens=False))
        for line in text.split("\n")
    )
