"""Signing in, and slowing down who guesses.

Every try counts as a failure before its password is looked at, under the lock of its counters, so that many at once
are counted as well; a success takes it back. Past some free tries the wait doubles up to a quarter of an hour, for the
login and for the network alike. Whether a login exists makes no difference to any of it.
"""

import datetime
import ipaddress
import math
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from newsletter.foundation.db import insert_new, lock_rows
from newsletter.foundation.errors import InvalidError, NewsletterError
from newsletter.foundation.secrets import Hasher
from newsletter.operators import accounts, passwords
from newsletter.operators.models import Operator, SigninThrottle

LONGEST_WAIT: Final = datetime.timedelta(minutes=15)
FORGOTTEN_AFTER: Final = datetime.timedelta(days=1)
FREE_FOR_LOGIN: Final = 5
FREE_FOR_NETWORK: Final = 20
"""A newsroom is one network to us: several people may mistype in one morning."""


class TooManyTriesError(NewsletterError):
    """Too many wrong passwords: wait before the next try."""

    retry = True

    def __init__(self, wait: datetime.timedelta) -> None:
        """Keep how long to `wait`."""
        minutes = math.ceil(wait.total_seconds() / 60)
        super().__init__(
            f"Too many sign-ins failed just now. Please try again in {minutes} minute{'s' if minutes > 1 else ''}."
        )
        self.wait = wait


@dataclass(frozen=True)
class Try:
    """One try to sign in: who, and the counters it is counted on."""

    login: str
    login_key: str
    network_key: str


def admit(session: Session, hasher: Hasher, login: str, ip: str, now: datetime.datetime) -> Try:
    """Count one more try and let it pass, or raise TooManyTriesError. Commit before the password is looked at."""
    tried = Try(
        accounts.folded(login)[:120],
        hasher.digest("signin login", accounts.folded(login)[:120]),
        hasher.digest("signin network", _network(ip)),
    )
    free = {tried.login_key: FREE_FOR_LOGIN, tried.network_key: FREE_FOR_NETWORK}
    counters = _locked(session, sorted(free), now)
    latest = max(counter.closed_until for counter in counters)
    if latest > now:
        raise TooManyTriesError(latest - now)
    for counter in counters:
        if now - counter.last_at > FORGOTTEN_AFTER:
            counter.failures = 0
        counter.failures += 1
        counter.last_at = now
        counter.closed_until = now + wait_after(counter.failures, free[counter.key_hash])
    return tried


def wait_after(failures: int, free: int) -> datetime.timedelta:
    """Return how long the next try has to wait: nothing for the first `free`, then 1 s, 2 s, 4 s … 15 minutes."""
    over = failures - free
    return datetime.timedelta(0) if over < 0 else min(datetime.timedelta(seconds=2 ** min(over, 12)), LONGEST_WAIT)


def check(session: Session, tried: Try, password: str) -> Operator:
    """Return the operator whose password this is. Raises InvalidError with one sentence for every reason."""
    operator = accounts.find(session, tried.login)
    usable = operator if operator is not None and operator.disabled_at is None else None
    if not passwords.matches(usable.password_hash if usable else None, password) or usable is None:
        raise InvalidError("This login and password do not go together.")
    return usable


def passed(session: Session, tried: Try, operator: Operator, password: str, now: datetime.datetime) -> None:
    """Take the try back from the counters, and store the password anew if it was hashed by older rules."""
    session.execute(delete(SigninThrottle).where(SigninThrottle.key_hash == tried.login_key))
    session.execute(
        update(SigninThrottle)
        .where(SigninThrottle.key_hash == tried.network_key, SigninThrottle.failures > 0)
        .values(failures=SigninThrottle.failures - 1, closed_until=now)
    )
    if passwords.outdated(operator.password_hash):
        operator.password_hash = passwords.hashed(password, operator.login)


def forget(session: Session, now: datetime.datetime) -> None:
    """Remove the counters whose tries are long past."""
    session.execute(delete(SigninThrottle).where(SigninThrottle.last_at < now - FORGOTTEN_AFTER))


def _locked(session: Session, keys: list[str], now: datetime.datetime) -> list[SigninThrottle]:
    """Return the counters of `keys`, made where missing, locked to the end of the transaction."""
    rows = [{"key_hash": key, "failures": 0, "closed_until": now, "last_at": now} for key in keys]
    session.execute(insert_new(session, SigninThrottle).values(rows))
    wanted = select(SigninThrottle).where(SigninThrottle.key_hash.in_(keys)).order_by(SigninThrottle.key_hash)
    return list(session.scalars(lock_rows(session, wanted).execution_options(populate_existing=True)))


def _network(ip: str) -> str:
    """Return the network that is counted as one: the address itself, or the /64 of an IPv6 address."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ip
    if address.version == 4:
        return str(address)
    return str(address.ipv4_mapped or ipaddress.ip_network((int(address), 64), strict=False))
