"""Looking up which host takes a domain's mail (RFC 5321 section 5.1), beside the sending, never in its way."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

import dns.asyncresolver
import dns.exception
import dns.name
import dns.resolver

from newsletter.delivery import hosts
from newsletter.foundation.clock import monotonic

log = logging.getLogger(__name__)
_AT_ONCE: Final = 50
_PATIENCE: Final = 2.0
"""Seconds for one domain."""


def look_up(
    domains: Sequence[str], seconds: float, resolver: dns.asyncresolver.Resolver | None = None
) -> dict[str, str | None]:
    """Return the host groups of domains, of as many as `seconds` allow; None where nobody answered.

    `resolver` is the system's, unless given.
    """
    try:
        ask = resolver or dns.asyncresolver.Resolver()
    except dns.resolver.NoResolverConfiguration as problem:
        log.warning("no mail hosts are looked up", extra={"reason": str(problem)})
        return {}
    return asyncio.run(_look_up(ask, domains, monotonic() + seconds))


async def _look_up(ask: dns.asyncresolver.Resolver, domains: Sequence[str], ends: float) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for first in range(0, len(domains), _AT_ONCE):
        if monotonic() >= ends:
            break
        some = domains[first : first + _AT_ONCE]
        found |= zip(some, await asyncio.gather(*(_group(ask, domain) for domain in some)), strict=True)
    return found


async def _group(ask: dns.asyncresolver.Resolver, domain: str) -> str | None:
    try:
        host = await exchanger(ask, domain)
    except (dns.exception.DNSException, OSError, UnicodeError) as problem:
        log.info("mail host not looked up", extra={"reason": type(problem).__name__})
        return None
    return hosts.group_of_host(host) if hosts.is_host_name(host) else domain


async def exchanger(ask: dns.asyncresolver.Resolver, domain: str) -> str:
    """Return the name of the best mail host of `domain`; the domain itself where it names none, or is none.

    Of several that are equally good, the first by name. A null MX (RFC 7505) gives an empty name. Raises DNSException
    when the question was not answered, and OSError.
    """
    try:
        answer = await ask.resolve(dns.name.from_text(domain), "MX", lifetime=_PATIENCE)
    except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN):
        return domain
    best = min(answer, key=lambda one: (one.preference, one.exchange))
    return best.exchange.to_text(omit_final_dot=True).lower() if best.exchange != dns.name.root else ""
