"""Which relays take a mail, and in which order they are tried. Pure: decides over values, looks nothing up."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol, TypeVar

CONFIRMATIONS: Final = "confirmations"
"""The stream of confirmation mails; every other stream is a cadence's slug."""


class Route(Protocol):
    """What a relay says of the mail that it takes."""

    @property
    def senders(self) -> Sequence[str]:
        """Addresses or domains of From; empty: all."""

    @property
    def streams(self) -> Sequence[str]:
        """Slugs of cadences or CONFIRMATIONS; empty: all."""

    @property
    def weight(self) -> int:
        """Its share beside others; 0: only when those with a weight are away."""


R = TypeVar("R", bound=Route)


def closeness(route: Route, sender: str, stream: str) -> int | None:
    """Tell how closely `route` is meant for mail of `stream` from `sender`; None: it does not take it.

    A route that names senders or streams is closer than one that takes all, and one that names both is the closest.
    """
    address = sender.casefold()
    domain = address.rpartition("@")[2]
    named = {one.casefold() for one in route.senders}
    if (named and not named & {address, domain}) or (route.streams and stream not in route.streams):
        return None
    return bool(named) + bool(route.streams)


def in_order(routes: Iterable[R], sender: str, stream: str, draw: Callable[[], float]) -> list[R]:
    """Return those that take the mail, the one to use first, the others to fall over to.

    Closer ones come before more general ones, those with a weight before those without; among equals each is first as
    often as its weight says (Efraimidis and Spirakis 2006: a draw from [0, 1) to the power of 1/weight).
    """
    ranked = [
        (-close, route.weight == 0, -(draw() ** (1 / (route.weight or 1))), place, route)
        for place, route in enumerate(routes)
        if (close := closeness(route, sender, stream)) is not None
    ]
    return [route for *_, route in sorted(ranked, key=lambda one: one[:4])]
