"""Gather the words that readers see, and merge them into newsletter/translations: `make words`.

The catalogues are what translators edit and what the pages read; there is nothing to compile. Operators' pages are
English and stay out. What a run writes depends on the sources alone: no dates, no line numbers, nothing of the machine.
"""

import io
import pathlib
import sys
from collections.abc import Iterator
from typing import Final

from babel.messages import Catalog, Message
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

from newsletter.foundation import languages

ROOT: Final = pathlib.Path(__file__).resolve().parent.parent
FOLDER: Final = languages.FOLDER
_PLACES: Final = (
    ("newsletter/foundation/*.py", "python"),
    ("newsletter/audience/*.py", "python"),
    ("newsletter/mail/*.py", "python"),
    ("newsletter/web/*.py", "python"),
    ("templates/*.html", "jinja2"),
    ("templates/web/*.html", "jinja2"),
    ("templates/email/**/*.html", "jinja2"),
    ("templates/email/**/*.txt", "jinja2"),
)
_MARKS: Final = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2)}
"""Function to the places of its words; None: the first."""
_JINJA: Final = {"trimmed": "true", "newstyle_gettext": "true", "silent": "false"}
"""As foundation/pages.py and mail/stationery.py read templates. A broken one stops us, rather than lose its words."""
_COLUMNS: Final = 120


def gather() -> Catalog:
    """Return every message that is marked for translation, in the order of the files."""
    found = Catalog()
    for pattern, method in _PLACES:
        for path in sorted(ROOT.glob(pattern)):
            options = _JINJA if method == "jinja2" else {}
            for line, words, comments, context in extract_from_file(method, path, _MARKS, options=options):
                place = (path.relative_to(ROOT).as_posix(), line)
                found.add(words, locations=[place], auto_comments=comments, context=context)
    return found


def read(language: str, text: str | None = None) -> Catalog:
    """Return the catalogue of `language` as its file has it, or as `text`; an empty one where there is no file yet."""
    path = FOLDER / f"{language}.po"
    if text is None and not path.exists():
        return Catalog(locale=language)
    return read_po(io.StringIO(path.read_text(encoding="utf-8") if text is None else text), locale=language)


def merge(catalogue: Catalog, gathered: Catalog) -> str:
    """Return the file that `catalogue` becomes: words that are gone left out, new ones empty.

    A message that was only reworded keeps its translation, marked fuzzy, until a translator has looked at it; readers
    get the English words meanwhile.
    """
    catalogue.update(gathered)
    body = io.BytesIO()
    write_po(
        body,
        catalogue,
        omit_header=True,
        include_lineno=False,
        ignore_obsolete=True,
        include_previous=True,
        width=_COLUMNS,
    )
    # Babel's own header has dates in it.
    header = {
        "Language": str(catalogue.locale),
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Transfer-Encoding": "8bit",
        "Plural-Forms": catalogue.plural_forms,
    }
    head = "".join(f'"{name}: {value}\\n"\n' for name, value in header.items())
    return f'msgid ""\nmsgstr ""\n{head}\n{body.getvalue().decode().rstrip()}\n'


def unfinished(catalogue: Catalog) -> Iterator[Message]:
    """Give the messages that lack a translation, or have one that nobody has looked at since."""
    for message in catalogue:
        said = message.string if isinstance(message.string, tuple) else (message.string,)
        if message.id and (message.fuzzy or not all(said)):
            yield message


def main() -> int:
    """Rewrite the catalogues and list what is left to translate; return 1 if there is any, else 0."""
    gathered, left = gather(), 0
    FOLDER.mkdir(exist_ok=True)
    for language in languages.LANGUAGES:
        if language == languages.SOURCE:
            continue
        catalogue = read(language)
        (FOLDER / f"{language}.po").write_text(merge(catalogue, gathered), encoding="utf-8")
        for message in unfinished(catalogue):
            left += 1
            print(f"{language}: {message.id if isinstance(message.id, str) else message.id[1]}")
    print(f"{len(gathered)} messages; {left} translations to write in {FOLDER.relative_to(ROOT)}.")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
