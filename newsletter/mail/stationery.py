"""The paper that mails are written on: templates in one language, styles in one publication's colours.

Templates live in templates/email, a folder for each mail. Their words are English and are translated by gettext. An
operator can lay a folder over them: what it has in email/ is taken instead of ours.
"""

import contextlib
import functools
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Final

import css_inline
import jinja2
from jinja2.bccache import Bucket

from newsletter.foundation import languages
from newsletter.foundation.errors import RenderError
from newsletter.foundation.resources import folder
from newsletter.mail import colour, readers
from newsletter.mail.cleaning import prose
from newsletter.mail.shapes import PublicationFacts

_COLUMNS: Final = 72
_SEAM: Final = "<!--\ue002-->"
"""Stands between pieces: private-use, which cleaning takes out of all words (see fragments.py)."""
_WRAPPER: Final = textwrap.TextWrapper(_COLUMNS, break_long_words=False, break_on_hyphens=False)


class _Compiled(jinja2.BytecodeCache):
    """Compiled templates, shared by the environments of all languages: only what they are rendered with differs."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        kept = self._kept.get(bucket.key)
        if kept is not None:
            bucket.bytecode_from_string(kept)  # it looks whether the source is still the same

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


_COMPILED: Final = _Compiled()


class _Shelf(jinja2.BaseLoader):
    """An operator's templates before ours, which `ours/…` names even so; each is checked when it is taken first."""

    _checked: ClassVar[set[tuple[str, str]]] = set()
    """Name and source of those that are in order, in whatever language."""

    def __init__(self, overlay: Path | None) -> None:
        ours = jinja2.FileSystemLoader(folder("templates") / "email")
        theirs = [jinja2.FileSystemLoader(overlay / "email")] if overlay else []
        self._inner = jinja2.ChoiceLoader([*theirs, ours, jinja2.PrefixLoader({"ours": ours})])

    def get_source(
        self, environment: jinja2.Environment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        found = self._inner.get_source(environment, template)
        if (template, found[0]) not in self._checked:
            readers.check(environment, found[0], template)
            self._checked.add((template, found[0]))
        return found


@functools.cache
def _environment(language: str, overlay: Path | None) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=_Shelf(overlay),
        bytecode_cache=_COMPILED,
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
        language=language,
        direction=languages.direction(language),
        start="right" if languages.direction(language) == "rtl" else "left",
        end="left" if languages.direction(language) == "rtl" else "right",
    )
    return environment


class Stationery:
    """Renders the templates of one language for one publication; styles are on the elements, nothing is fetched."""

    def __init__(self, facts: PublicationFacts, language: str) -> None:
        self._environment = _environment(language, facts.templates)
        self.is_ours = facts.templates is None
        """Whether no template of an operator's lies over ours."""
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

    def is_full(self, templates: Iterable[str]) -> bool:
        """Tell whether any of `templates` is to be rendered anew for each reader (see readers.py)."""
        if self.is_ours:  # ours never are
            return False
        with _explained("digest"):
            return readers.is_full(self._environment, templates)

    def plain(self, template: str, **words: object) -> str:
        """Render `template` as it is. Raises RenderError that names it where that cannot be done."""
        with _explained(template):
            return self._environment.get_template(template).render(self._words, **words)

    def page(self, template: str, **words: object) -> str:
        """Render an HTML template that is a whole document."""
        return self.whole(self.plain(template, **words))

    def whole(self, page: str) -> str:
        """Put the styles onto the elements of a whole document."""
        return self._inliner.inline(page) + "\n"

    def styled(self, piece: str) -> str:
        """Put the styles onto the elements of a piece."""
        return self._inliner.inline_fragment(piece, self._css)

    def parts(self, pieces: Sequence[str]) -> list[str]:
        """Put the styles onto the elements of some pieces, each by itself."""
        if not self.is_ours:  # an element that an operator left open would reach into the next piece
            return [self.styled(piece) for piece in pieces]
        return self.styled(_SEAM.join(pieces)).split(_SEAM)


@contextlib.contextmanager
def _explained(template: str) -> Iterator[None]:
    try:
        yield
    except jinja2.TemplateError as error:
        at = f"{getattr(error, 'name', None) or template}{f', line {error.lineno}' if hasattr(error, 'lineno') else ''}"
        raise RenderError(f"The template {at} cannot be rendered: {error.message}") from error
    except (TypeError, ValueError, ArithmeticError, LookupError) as error:  # what an expression in one may come to
        raise RenderError(f"The template {template} cannot be rendered: {error}") from error


@functools.lru_cache(maxsize=64)
def stationery(facts: PublicationFacts, language: str) -> Stationery:
    """Return the paper for a publication and language, made once."""
    return Stationery(facts, language)


def wrap(text: str) -> str:
    """Set each line of `text` in 72 columns; words longer than that, such as links, stay whole."""
    return "\n".join([_wrapped(line) for line in text.split("\n")])


def _wrapped(line: str) -> str:
    if len(line) <= _COLUMNS and line.isprintable():
        return line.rstrip(" ")
    return "\n".join(_WRAPPER.wrap(line))
