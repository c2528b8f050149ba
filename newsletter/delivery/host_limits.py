"""What operators allow towards a group of mail hosts: so many connections, so many mails a second, minute, hour."""

import datetime
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.delivery import hosts
from newsletter.delivery.lines import move_up
from newsletter.delivery.models import HostLimit
from newsletter.delivery.relay_terms import FASTEST, MOST_CONNECTIONS
from newsletter.foundation.errors import InvalidError, NotFoundError


def host_limits(session: Session) -> Sequence[HostLimit]:
    """Return all of them, by name."""
    return session.scalars(select(HostLimit).order_by(HostLimit.host_group)).all()


def set_host_limit(
    session: Session,
    group: str,
    now: datetime.datetime,
    *,
    connections: int | None = None,
    per_second: int | None = None,
    per_minute: int | None = None,
    per_hour: int | None = None,
) -> HostLimit:
    """Limit what goes to a group of mail hosts; what it was before is replaced. It acts within seconds.

    `group` may also be a recipients' domain whose group is known: the limit is then that group's, as it holds for all
    domains behind the same hosts. Raises InvalidError.
    """
    numbers = {"connections": connections, "per_second": per_second, "per_minute": per_minute, "per_hour": per_hour}
    problem = why_not_limit(group, numbers)
    if problem:
        raise InvalidError(problem)
    name = hosts.group_for(session, hosts.tidy(group))
    limit = session.get(HostLimit, name)
    if limit is None:
        limit = HostLimit(host_group=name)
        session.add(limit)
    for field, number in numbers.items():
        setattr(limit, field, number)
    session.flush()
    hosts.gather(session)
    move_up(session, now)
    return limit


def remove_host_limit(session: Session, group: str, now: datetime.datetime) -> None:
    """Limit a group no more; what waits for it is sent as fast as the rest. Raises NotFoundError."""
    limit = session.get(HostLimit, hosts.tidy(group))
    if limit is None:
        raise NotFoundError(f"There is no limit for {group[:100]}.")
    session.delete(limit)
    session.flush()
    move_up(session, now)


def why_not_limit(group: str, numbers: dict[str, int | None]) -> str | None:
    """Return what is wrong with a limit, in a sentence; None when it is fine."""
    if not hosts.is_host_name(hosts.tidy(group)):
        return "Type a group of mail hosts, like google.com, or a domain that readers have addresses at."
    if all(number is None for number in numbers.values()):
        return "Give at least one limit; to have none, remove the entry."
    for field, number in numbers.items():
        most = MOST_CONNECTIONS if field == "connections" else FASTEST
        if number is not None and not 1 <= number <= most:
            words = "The number of connections" if field == "connections" else f"The limit {field.replace('_', ' ')}"
            return f"{words} must be a whole number from 1 to {most:,}, or empty."
    return None
