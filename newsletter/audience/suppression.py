"""Standing orders never to mail an address or a domain, known only by keyed hashes, so that they outlive the reader."""

import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.audience import addresses
from newsletter.audience.models import Subscriber, Suppression, SuppressionReason
from newsletter.foundation.db import insert_new
from newsletter.foundation.secrets import Hasher


def address_hash(hasher: Hasher, address: str) -> str:
    """Return what the suppression list and `Subscriber.address_hash` know an address by."""
    return hasher.digest("address", addresses.fold(address))


def domain_hash(hasher: Hasher, address_or_domain: str) -> str:
    """Return what the suppression list and `Subscriber.domain_hash` know a domain by."""
    return hasher.digest("domain", addresses.domain_of(address_or_domain))


def hash_of(hasher: Hasher, target: str) -> str:
    """Return the hash of an address, or of a domain (`example.org` or `@example.org`)."""
    return address_hash(hasher, target) if "@" in target.strip("@") else domain_hash(hasher, target)


def suppress(session: Session, hasher: Hasher, target: str, reason: SuppressionReason, now: datetime.datetime) -> None:
    """Never mail `target` (an address or a domain) again. The first reason stands."""
    suppress_hash(session, hash_of(hasher, target), reason, now)


def suppress_hash(session: Session, hashed: str, reason: SuppressionReason, now: datetime.datetime) -> None:
    """As `suppress`, for whoever holds only the hash."""
    session.execute(insert_new(session, Suppression).values(hash=hashed, reason=reason, created_at=now))


def lift(session: Session, hasher: Hasher, target: str) -> bool:
    """Take the order back; tell whether there was one. An address may then be asked to confirm again."""
    row = session.get(Suppression, hash_of(hasher, target))
    refusing = None
    if "@" in target.strip("@"):
        refusing = session.scalar(
            select(Subscriber).where(Subscriber.folded == addresses.fold(target), Subscriber.refused_at.is_not(None))
        )
    if row is not None:
        session.delete(row)
    if refusing is not None:
        refusing.refused_at = None
    session.flush()
    return row is not None or refusing is not None


def is_suppressed(session: Session, hasher: Hasher, address: str) -> bool:
    """Tell whether the address or its domain must not be mailed."""
    hashes = (address_hash(hasher, address), domain_hash(hasher, address))
    return bool(suppressed_among(session, hashes))


def suppressed_among(session: Session, hashes: tuple[str, ...] | list[str]) -> frozenset[str]:
    """Return those of `hashes` that are on the list."""
    return frozenset(session.scalars(select(Suppression.hash).where(Suppression.hash.in_(hashes))))
