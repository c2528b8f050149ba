"""What operators say of a relay, and what is wrong with it: one sentence for each field."""

import re
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.audience.models import Cadence
from newsletter.delivery.models import Relay, Tls
from newsletter.delivery.routing import CONFIRMATIONS
from newsletter.foundation.addresses import is_disguised, is_literal
from newsletter.publication import identity

LONGEST_PASSWORD: Final = 1000
MOST_CONNECTIONS: Final = 1000
MOST_WEIGHT: Final = 1000
FASTEST: Final = 100_000_000
"""Mails in any span; more is a mistyped number."""
_HERE: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST: Final = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?)*")
_HELLO: Final = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[A-Za-z0-9:.]{2,60}\]")


@dataclass(frozen=True)
class Terms:
    """All of a relay but its password, as operators type it; None and empty mean what the table's columns say."""

    name: str
    host: str
    port: int = 587
    tls: Tls = Tls.STARTTLS
    username: str = ""
    hello: str = ""
    weight: int = 1
    connections: int = 5
    per_second: int | None = None
    per_minute: int | None = None
    per_hour: int | None = None
    senders: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()

    @classmethod
    def of(cls, relay: Relay) -> "Terms":
        """Return a relay's own."""
        values = {name: getattr(relay, name) for name in cls.__dataclass_fields__}
        return cls(**values | {"senders": tuple(relay.senders), "streams": tuple(relay.streams)})

    def tidied(self) -> "Terms":
        """Return the same without what slips in when typing: spaces, capitals, repetitions."""
        return replace(
            self,
            name=self.name.strip(),
            host=self.host.strip().lower().rstrip("."),
            username=self.username.strip(),
            hello=self.hello.strip(),
            senders=tuple(dict.fromkeys(one.strip().lower() for one in self.senders if one.strip())),
            streams=tuple(dict.fromkeys(self.streams)),
        )

    def as_row(self) -> dict[str, Any]:
        """Return the columns' values."""
        return asdict(self) | {"senders": list(self.senders), "streams": list(self.streams)}


def problems(session: Session, terms: Terms, *, relay_id: int | None = None) -> dict[str, str]:
    """Return field and sentence for each mistake; `relay_id` is the relay that is being changed."""
    terms = terms.tidied()
    found = {
        "name": _name(session, terms.name, relay_id),
        "host": _host(terms.host),
        "port": _whole("The port", terms.port, 1, 65_535),
        "tls": _tls(terms),
        "username": _line("The user name", terms.username),
        "hello": _hello(terms.hello),
        "weight": _whole("The weight", terms.weight, 0, MOST_WEIGHT),
        "connections": _whole("The number of connections", terms.connections, 1, MOST_CONNECTIONS),
        "per_second": _limit("second", terms.per_second),
        "per_minute": _limit("minute", terms.per_minute),
        "per_hour": _limit("hour", terms.per_hour),
        "senders": _senders(session, terms.senders),
        "streams": _streams(session, terms.streams),
    }
    return {field: sentence for field, sentence in found.items() if sentence}


def streams(session: Session) -> dict[str, str]:
    """Return what a relay can be kept for: slug to name, confirmations first."""
    rows = session.execute(
        select(Cadence.slug, Cadence.name).where(Cadence.archived_at.is_(None)).order_by(Cadence.position, Cadence.id)
    )
    return {CONFIRMATIONS: "Confirmations"} | {slug: name for slug, name in rows if slug != CONFIRMATIONS}


def bad_password(password: str) -> str | None:
    """Judge a password: one line that AUTH can carry (RFC 4616: no NUL)."""
    if len(password) > LONGEST_PASSWORD:
        return f"The password must have at most {LONGEST_PASSWORD} characters."
    return _line("The password", password, LONGEST_PASSWORD)


def _name(session: Session, name: str, relay_id: int | None) -> str | None:
    if not name:
        return "Give the relay a name to know it by."
    if (wrong := _line("The name", name, 60)) is not None:
        return wrong
    others = session.execute(select(Relay.id, Relay.name).where(Relay.id != (relay_id or 0)))
    taken = any(other.casefold() == name.casefold() for _, other in others)
    return f"There is a relay called {name} already. Choose another name." if taken else None


def _host(host: str) -> str | None:
    if not host:
        return "Type the relay's host, like mail.example.org."
    if is_disguised(host) or not (is_literal(host) or _HOST.fullmatch(host)):
        return "The host must be a name like mail.example.org or an IP address: no smtp://, no port, no spaces."
    return None


def _tls(terms: Terms) -> str | None:
    if terms.username and terms.tls is Tls.OPPORTUNISTIC and terms.host not in _HERE:
        return "With a user name TLS must be required, or anybody on the way could read the password."
    return None


def _hello(name: str) -> str | None:
    usable = not name or _HELLO.fullmatch(name)
    return None if usable else "The name for EHLO must be a host name like mail.example.org, or empty."


def _line(what: str, text: str, longest: int = 255) -> str | None:
    if len(text) > longest:
        return f"{what} must have at most {longest} characters."
    return None if text.isprintable() else f"{what} must be one line without control characters."


def _whole(what: str, number: int, least: int, most: int) -> str | None:
    return None if least <= number <= most else f"{what} must be a whole number from {least} to {most:,}."


def _limit(span: str, number: int | None) -> str | None:
    return None if number is None else _whole(f"The limit for a {span}, unless it is left empty,", number, 1, FASTEST)


def _senders(session: Session, senders: tuple[str, ...]) -> str | None:
    if not senders:
        return None
    ours = identity.load(session)
    addresses = [one.lower() for one in (ours.digest_from, ours.confirmation_from) if one]
    known = {*addresses, *(address.rpartition("@")[2] for address in addresses)}
    for sender in senders:
        if sender not in known:
            return (
                f"We send no mail from {sender}. Our senders are {' and '.join(addresses) or 'not set yet'}; "
                "their domains will do too."
            )
    return None


def _streams(session: Session, named: tuple[str, ...]) -> str | None:
    known = {CONFIRMATIONS, *session.scalars(select(Cadence.slug))}
    wrong = [one for one in named if one not in known]
    return f"There is no cadence {wrong[0][:60]}." if wrong else None
