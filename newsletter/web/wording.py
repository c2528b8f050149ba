"""Facts as readers' pages say them, in the reader's language."""

import functools
import importlib.resources
import zoneinfo
from collections.abc import Mapping

from newsletter.audience.models import Cadence
from newsletter.foundation import languages
from newsletter.foundation.languages import N_
from newsletter.web.frame import language, say

_EVERY_DAY = N_("every day at %(time)s")
_WORKING_DAYS = N_("Monday to Friday at %(time)s")
_ON_DAYS = N_("%(days)s at %(time)s")
_AT_PACE = N_("%(cadence)s: %(categories)s")


def pace(cadence: Cadence) -> str:
    """Return a cadence's name."""
    return languages.named(cadence.name, language())


def hour(cadence: Cadence) -> str:
    """Return when a cadence comes: `every day at 07:00`."""
    code = language()
    time = languages.time_of_day(cadence.hour, cadence.minute, code)
    if cadence.daily:
        return say(_EVERY_DAY, time=time)
    if cadence.weekdays == "12345":
        return say(_WORKING_DAYS, time=time)
    days = languages.listing((languages.weekday(int(day), code) for day in cadence.weekdays), code)
    return say(_ON_DAYS, days=days, time=time)


def choices(chosen: Mapping[int, int], cadences: Mapping[int, str], categories: Mapping[int, str]) -> str:
    """Return what comes at which pace: `Daily: Business and Politics; Weekly: World`. In the order of the mappings."""
    parts = []
    for cadence_id, name in cadences.items():
        held = [title for category_id, title in categories.items() if chosen.get(category_id) == cadence_id]
        if held:
            parts.append(say(_AT_PACE, cadence=name, categories=languages.listing(held, language())))
    return "; ".join(parts)


def timezones(held: str = "") -> list[tuple[str, str]]:
    """Return the zones to choose from, with labels; `held` is among them whatever it is."""
    zones = _zones()
    return zones if not held or any(name == held for name, _ in zones) else [(held, held), *zones]


@functools.cache
def _zones() -> list[tuple[str, str]]:
    """Return one zone per country and time (zone.tab of the time zone database), without its hundreds of old names."""
    table = importlib.resources.files("tzdata").joinpath("zoneinfo", "zone.tab").read_text(encoding="utf-8")
    names = {line.split("\t")[2] for line in table.splitlines() if line and not line.startswith("#")}
    names = {*names, "UTC"} & zoneinfo.available_timezones()
    return [(name, name.replace("_", " ").replace("/", " – ")) for name in sorted(names)]
