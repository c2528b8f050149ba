"""Jinja as pages use it: words in the page's language, times and numbers as people read them.

Templates find `language`, `zone` and `now` in their context; components.html is imported `with context` for them.
"""

import datetime

import jinja2
from jinja2.runtime import Context

from newsletter.foundation import languages


def install(environment: jinja2.Environment) -> None:
    """Teach `environment` the translation marks `_()` and `{% trans %}` and the filters moment, ago, day and number."""
    environment.add_extension("jinja2.ext.i18n")
    # Added to the environment by the extension itself, hence unknown to the type.
    environment.install_gettext_callables(_gettext, _ngettext, newstyle=True)  # type: ignore[attr-defined]
    environment.filters.update(moment=_moment, ago=_ago, day=_day, number=_number)
    environment.policies["ext.i18n.trimmed"] = True
    environment.trim_blocks = True
    environment.lstrip_blocks = True


@jinja2.pass_context
def _gettext(context: Context, message: str) -> str:
    return languages.catalogue(_language(context)).gettext(message)


@jinja2.pass_context
def _ngettext(context: Context, one: str, many: str, count: int) -> str:
    return languages.catalogue(_language(context)).ngettext(one, many, count)


@jinja2.pass_context
def _moment(context: Context, when: datetime.datetime) -> str:
    return languages.moment(when, context["zone"], _language(context))


@jinja2.pass_context
def _day(context: Context, when: datetime.datetime) -> str:
    return languages.day(when, context["zone"], _language(context))


@jinja2.pass_context
def _ago(context: Context, when: datetime.datetime) -> str:
    return languages.ago(when, context["now"], _language(context))


@jinja2.pass_context
def _number(context: Context, value: float) -> str:
    return languages.number(value, _language(context))


def _language(context: Context) -> str:
    return str(context.get("language", languages.SOURCE))
