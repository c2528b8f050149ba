"""Which group of mail hosts takes a domain's mail. Limits hold for a group, not for a recipients' domain: thousands of
domains may lie behind one provider, and it counts what we send to all of them together (standards S4).

A group is named after the domain that the provider's hosts are in. Until a domain has been looked up
(`mail_exchangers`, beside the sending) it is a group of its own.
"""

import datetime
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from sqlalchemy import bindparam, func, literal, select, update
from sqlalchemy.orm import Session

from newsletter.audience.models import Subscriber
from newsletter.delivery.models import MailHost
from newsletter.foundation.db import insert_new

_FRESH: Final = datetime.timedelta(days=30)
_SOON: Final = datetime.timedelta(hours=1)
_NEVER: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_NAME: Final = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])")
_SAME: Final = {"googlemail.com": "google.com", "mx.microsoft": "outlook.com"}
"""Providers whose hosts stand under several names."""
_SECOND_LEVEL: Final = frozenset(
    ("ac", "co", "com", "edu", "go", "gob", "gouv", "gov", "gv", "mil", "ne", "net", "nom", "or", "org", "sch")
)
"""Labels under which countries register names: behind one of them a name has three labels."""

_NOTE: Final = (
    update(MailHost)
    .where(MailHost.domain == bindparam("b_domain"))
    .values(host_group=bindparam("b_group"), looked_up_at=bindparam("b_at"))
)


def tidy(name: str) -> str:
    """Return a host's or domain's name as it is kept."""
    return name.strip().rstrip(".").lower()


def is_host_name(name: str) -> bool:
    """Say whether it is a full name of a host: letters, digits and hyphens, with a dot (RFC 1123 section 2.1)."""
    return _NAME.fullmatch(name) is not None


def group_of_host(host: str) -> str:
    """Return the group of a mail host: the name that was registered, or what looks like it."""
    labels = tidy(host).split(".")
    country = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL
    name = ".".join(labels[-3 if country else -2 :])
    return _SAME.get(name, name)


def groups_of(session: Session, domains: Collection[str]) -> dict[str, str]:
    """Return the groups of those domains that are known."""
    query = select(MailHost.domain, MailHost.host_group).where(MailHost.domain.in_(list(domains)))
    return {row.domain: row.host_group for row in session.execute(query)}


def group_for(session: Session, name: str) -> str:
    """Return the group of a domain or host, as far as it is known; `name` itself otherwise."""
    return groups_of(session, [name]).get(name, _SAME.get(name, name))


def ask_for(session: Session, domains: Collection[str]) -> None:
    """Have domains looked up that are not known yet."""
    rows = [{"domain": name, "host_group": name, "looked_up_at": _NEVER} for name in sorted(domains)]
    if rows:
        session.execute(insert_new(session, MailHost).values(rows))


def gather(session: Session) -> None:
    """Have the domains of all confirmed readers looked up that are not known yet: one statement over all of them."""
    if session.get_bind().dialect.name == "postgresql":
        domain = func.split_part(Subscriber.address, "@", -1)
    else:  # a quoted local part with an @ in it gives a name that no DNS knows
        domain = func.substr(Subscriber.address, func.instr(Subscriber.address, "@") + 1)
    never = literal(_NEVER, MailHost.looked_up_at.type)
    found = select(domain, domain, never).where(Subscriber.confirmed_at.is_not(None)).distinct()
    session.execute(insert_new(session, MailHost).from_select(["domain", "host_group", "looked_up_at"], found))


def due(session: Session, now: datetime.datetime, limit: int) -> Sequence[str]:
    """Return domains to look up, those first that never were."""
    return session.scalars(
        select(MailHost.domain)
        .where(MailHost.looked_up_at < now - _FRESH)
        .order_by(MailHost.looked_up_at, MailHost.domain)
        .limit(limit)
    ).all()


def note(session: Session, found: Mapping[str, str | None], now: datetime.datetime) -> None:
    """Keep what was looked up: domain to group; None where nobody answered, to be asked again in an hour."""
    answered = [{"b_domain": domain, "b_group": group[:255], "b_at": now} for domain, group in found.items() if group]
    if answered:
        session.connection().execute(_NOTE, answered)
    silent = [domain for domain, group in found.items() if not group]
    session.execute(
        update(MailHost)
        .where(MailHost.domain.in_(silent))
        .values(looked_up_at=now - _FRESH + _SOON)
        .execution_options(synchronize_session=False)
    )
