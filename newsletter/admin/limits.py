"""Limits towards groups of mail hosts, and what is slowed down just now: parts of the relays' page."""

from flask import Response, g, request

from newsletter.admin.frame import go, pages, say
from newsletter.admin.relays import list_page, whole_number
from newsletter.delivery import host_limits, slowdowns
from newsletter.foundation.db import transaction
from newsletter.foundation.errors import InvalidError

_FIELDS = ("connections", "per_second", "per_minute", "per_hour")


@pages.post("/limits")
def set_host_limit() -> Response | tuple[str, int]:
    """Limit what goes to a group of mail hosts, in the place of what was said of it before."""
    numbers = {name: whole_number(f"limit_{name}") for name in _FIELDS}
    try:
        with transaction() as session:
            limit = host_limits.set_host_limit(session, request.form.get("group", ""), g.now, **numbers)
    except InvalidError as error:
        return list_page(request.form.to_dict(), {"group": str(error)}), 422
    say(f"Noted for {limit.host_group}. It counts within seconds.")
    return go("relays")


@pages.post("/limits/remove")
def remove_host_limit() -> Response:
    """Limit a group no more."""
    with transaction() as session:
        host_limits.remove_host_limit(session, request.form.get("group", ""), g.now)
    say("The limit is lifted.")
    return go("relays")


@pages.post("/slowdowns/clear")
def clear_slowdown() -> Response:
    """Go on at full speed, because an operator knows better."""
    with transaction() as session:
        slowdowns.clear_slowdown(session, request.form.get("key", ""), g.now)
    say("It goes on at full speed.")
    return go("relays")
