"""A submitted sign-up form: what was typed, cut to size, and judged field by field."""

import re
import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flask import request

from newsletter.audience import addresses, consent
from newsletter.audience.signup import Signup
from newsletter.foundation.db import db
from newsletter.foundation.errors import InvalidError
from newsletter.foundation.languages import LANGUAGES, N_
from newsletter.foundation.services import services
from newsletter.web.frame import client, plain, publication, say
from newsletter.web.offer import Offer

EMBED: Final = "embed"
"""What a form on another site calls itself."""
OWN: Final = "signup"
LONGEST_NAME: Final = 120
_LONGEST: Final = 1000
"""Characters of a field that are looked at and shown again; no field needs as many."""

CHOOSE_CATEGORY: Final = N_("Please choose at least one category.")
CHOOSE_OFFERED: Final = N_("Please choose from what is offered.")
CHOOSE_CADENCE: Final = N_("Please choose how often.")
NAME_TOO_LONG: Final = N_("Please use at most 120 characters.")
CHOOSE_ZONE: Final = N_("Please choose a time zone from the list.")
CHOOSE_LANGUAGE: Final = N_("Please choose a language from the list.")


@dataclass(frozen=True)
class Typed:
    """The fields of the form, as typed; templates show them again."""

    address: str = ""
    name: str = ""
    categories: Sequence[str] = ()
    cadence: str = ""
    consent: bool = False
    """Whether the box beside the words that are shown now was ticked."""
    affiliates: Sequence[int] = ()
    timezone: str = ""
    language: str = ""
    text_ids: Sequence[int] = ()
    """Of all words that were agreed to."""
    form: str = OWN


def read(offer: Offer) -> Typed:
    """Return the fields of this request's form."""
    fields = request.form
    agreed = ids(fields.getlist("consent"))
    ticked = ids(fields.getlist("affiliates"))
    return Typed(
        address=_short(fields.get("address")),
        name=_short(fields.get("name")),
        categories=list(dict.fromkeys(_short(slug) for slug in fields.getlist("categories")))[:_LONGEST],
        cadence=_short(fields.get("cadence")),
        consent=offer.privacy.id in agreed,
        affiliates=ticked,
        timezone=_short(fields.get("timezone")),
        language=_short(fields.get("language")),
        text_ids=[*agreed, *ticked],
        form=EMBED if fields.get("form") == EMBED else OWN,
    )


def judge(typed: Typed, offer: Offer) -> tuple[Signup | None, dict[str, str]]:
    """Return the sign-up that the form stands for, or a sentence for each field that is not right."""
    errors: dict[str, str] = {}
    address = ""
    try:
        address = addresses.check(typed.address, services().settings.disposable_domains)
    except InvalidError as error:
        errors["address"] = say(str(error))
    topics = {one.slug: one.id for one in offer.categories}
    paces = {one.slug: one.id for one in offer.cadences}
    if not typed.categories:
        errors["categories"] = say(CHOOSE_CATEGORY)
    elif not topics.keys() >= set(typed.categories):
        errors["categories"] = say(CHOOSE_OFFERED)
    if typed.cadence not in paces:
        errors["cadence"] = say(CHOOSE_CADENCE)
    if len(typed.name) > LONGEST_NAME:
        errors["name"] = say(NAME_TOO_LONG)
    if typed.timezone and typed.timezone not in zoneinfo.available_timezones():
        errors["timezone"] = say(CHOOSE_ZONE)
    if typed.language not in LANGUAGES:
        errors["language"] = say(CHOOSE_LANGUAGE)
    agreed: list[int] = []
    try:
        agreed = consent.agreed(db.session(), typed.text_ids, offer.affiliates)
    except InvalidError as error:
        errors["consent"] = say(str(error))
    if errors:
        return None, errors
    return Signup(
        address=address,
        name=typed.name,
        category_ids=[topics[slug] for slug in typed.categories],
        cadence_id=paces[typed.cadence],
        language=typed.language,
        timezone=typed.timezone or publication().timezone,
        consent_text_ids=agreed,
        source=client(typed.form, _page(typed.form)),
    ), {}


def ids(posted: Sequence[str]) -> list[int]:
    """Return those of `posted` that can be ids (of texts: 32 bits), each once."""
    return sorted({int(one) for one in posted[:_LONGEST] if re.fullmatch("[0-9]{1,9}", one)})


def _short(value: str | None) -> str:
    return plain((value or "")[:_LONGEST])


def _page(form: str) -> str:
    """Return the page that carried the form: ours, or what the browser tells of another's."""
    return services().links.page("subscribe") if form == OWN else request.referrer or ""
