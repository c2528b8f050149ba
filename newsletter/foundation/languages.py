"""The reader's language: which ones we speak, which one a browser asks for, its words, direction and dates.

Catalogues are plain .po files under newsletter/translations, read once when first used; the source language is English.
"""

import datetime
import functools
import gettext
import io
from collections.abc import Iterable
from typing import Final
from zoneinfo import ZoneInfo

import babel
import babel.dates
import babel.lists
import babel.numbers
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from newsletter.foundation.resources import PACKAGE

SOURCE: Final = "en"
LANGUAGES: Final = {"en": "English", "de": "Deutsch", "fr": "Français", "es": "Español", "ar": "العربية"}
"""Language code to its own name, in the order they are offered."""
FOLDER: Final = PACKAGE / "translations"
"""Where the catalogues are; scripts/words.py brings them up to date."""


def N_(message: str) -> str:  # noqa: N802  (gettext's customary mark)
    """Mark `message` for translators where it is written; it is translated where it is shown."""
    return message


@functools.cache
def catalogue(language: str) -> gettext.NullTranslations:
    """Return the words of `language`; English for any that we do not speak."""
    path = FOLDER / f"{language}.po"
    if language == SOURCE or language not in LANGUAGES or not path.exists():
        return gettext.NullTranslations()
    compiled = io.BytesIO()
    with path.open("rb") as source:
        write_mo(compiled, read_po(source, locale=language))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def named(name: str, language: str) -> str:
    """Return a name as readers of `language` see it: translated where it is one of ours, else as the operator wrote it.

    The default cadences are ours: `Daily` is `Täglich`.
    """
    return catalogue(language).gettext(name) if name else ""  # to gettext, nothing stands for the catalogue's header


def negotiate(wanted: Iterable[str], default: str = SOURCE) -> str:
    """Return the first of `wanted` (tags such as `de-AT`, best first) that we speak, else `default`."""
    for tag in wanted:
        code = tag.replace("_", "-").split("-")[0].lower()
        if code in LANGUAGES:
            return code
    return default


def direction(language: str) -> str:
    """Return `rtl` or `ltr`, the value of HTML's dir attribute."""
    return _locale(language).text_direction


def day(when: datetime.datetime, zone: str, language: str) -> str:
    """Return the local date in words, e.g. `Monday, 23 November 2026` in the manner of the language."""
    return babel.dates.format_date(when.astimezone(ZoneInfo(zone)), "full", locale=_locale(language))


def moment(when: datetime.datetime, zone: str, language: str) -> str:
    """Return a short local date and time, e.g. `23 Nov 2026, 07:00` in the manner of the language."""
    locale, local = _locale(language), when.astimezone(ZoneInfo(zone))
    date = babel.dates.format_skeleton("yMMMd", local, locale=locale)
    both = str(babel.dates.get_datetime_format("medium", locale))  # "{1}, {0}", with the language's own comma
    return both.format(time_of_day(local.hour, local.minute, language), date)


def ago(when: datetime.datetime, now: datetime.datetime, language: str) -> str:
    """Return the distance in words, e.g. `3 minutes ago` or `in 2 hours`."""
    return babel.dates.format_timedelta(when - now, add_direction=True, locale=_locale(language))


def span(length: datetime.timedelta, language: str) -> str:
    """Return a length of time in words, e.g. `2 days`."""
    return babel.dates.format_timedelta(length, granularity="hour", threshold=1.5, locale=_locale(language))


def time_of_day(hour: int, minute: int, language: str) -> str:
    """Return a time on the clock, e.g. `07:00`."""
    return babel.dates.format_time(datetime.time(hour, minute), "HH:mm", locale=_locale(language))


def weekday(number: int, language: str) -> str:
    """Return the name of an ISO weekday: 1 is Monday."""
    return str(babel.dates.get_day_names("wide", "stand-alone", locale=_locale(language))[number - 1])


def number(value: float, language: str) -> str:
    """Return the figure with the language's separators, e.g. `12,345`."""
    return babel.numbers.format_decimal(value, locale=_locale(language))


def listing(words: Iterable[str], language: str) -> str:
    """Join words as the language does: `Business, Politics and World`."""
    return babel.lists.format_list(list(words), locale=_locale(language))


@functools.cache
def _locale(language: str) -> babel.Locale:
    """Return Babel's facts about a language, looked up once: that takes longer than most of what is asked of them."""
    # British order of day and month for plain English: the pages name dates as newspapers in most of the world do.
    return babel.Locale.parse({"en": "en_GB"}.get(language, language))
