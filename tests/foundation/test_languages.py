"""Which language a page is in, and how figures, lists and times look there."""

import datetime

import pytest

from newsletter.foundation import languages

MOMENT = datetime.datetime(2026, 11, 23, 6, 0, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        (["de-AT", "en"], "de"),
        (["pt-BR", "es_419", "en"], "es"),
        (["AR"], "ar"),
        (["tlh", "*", "", "../de"], "en"),
        ([], "en"),
    ],
)
def test_the_first_wanted_language_that_we_speak_is_chosen(wanted: list[str], chosen: str) -> None:
    assert languages.negotiate(wanted) == chosen


def test_only_arabic_runs_from_right_to_left() -> None:
    assert [code for code in languages.LANGUAGES if languages.direction(code) == "rtl"] == ["ar"]


@pytest.mark.parametrize(
    ("language", "moment", "day", "number", "listing", "span", "time"),
    [
        ("en", "23 Nov 2026, 07:00", "Monday, 23 November 2026", "12,345", "A, B and C", "2 days", "07:05"),
        ("de", "23. Nov. 2026, 07:00", "Montag, 23. November 2026", "12.345", "A, B und C", "2 Tage", "07:05"),
        ("fr", "23 nov. 2026, 07:00", "lundi 23 novembre 2026", "12\u202f345", "A, B et C", "2\u00a0jours", "07:05"),
        ("es", "23 nov 2026, 07:00", "lunes, 23 de noviembre de 2026", "12.345", "A, B y C", "2 días", "07:05"),
        ("ar", "23 نوفمبر 2026، 07:00", "الاثنين، 23 نوفمبر 2026", "12,345", "A وB وC", "يومان", "07:05"),
    ],
)
def test_figures_lists_and_times_are_in_the_manner_of_the_language(
    language: str, moment: str, day: str, number: str, listing: str, span: str, time: str
) -> None:
    zone = "Europe/Berlin"
    assert languages.moment(MOMENT, zone, language) == moment
    assert languages.day(MOMENT, zone, language) == day
    assert languages.number(12_345, language) == number
    assert languages.listing(["A", "B", "C"], language) == listing
    assert languages.span(datetime.timedelta(hours=48), language) == span
    assert languages.time_of_day(7, 5, language) == time


def test_a_language_that_we_do_not_speak_has_english_words() -> None:
    assert languages.catalogue("tlh").gettext("Unsubscribe") == "Unsubscribe"
    assert languages.catalogue("de").gettext("Unsubscribe") == "Abmelden"


def test_names_that_we_gave_are_translated_and_an_operators_own_stand() -> None:
    assert languages.named("Daily", "de") == "Täglich"
    assert languages.named("Täglich um sieben", "fr") == "Täglich um sieben"
    assert languages.named("", "de") == ""
