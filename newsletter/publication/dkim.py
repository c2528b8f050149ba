"""The keys that sign our mail: made, published by somebody, put to use, replaced, forgotten.

A key only waits until somebody says that its record is published: mail that is signed with a key nobody can look up is
worse off than unsigned mail. When the next key of its domain is activated it signs no more, but its record stays
published while mail that it signed is under way; after that an empty record revokes it (standards A5).
"""

import datetime
import enum
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.foundation.db import lock_rows
from newsletter.foundation.errors import ConflictError, InvalidError, NotFoundError
from newsletter.foundation.secrets import Vault
from newsletter.publication import dkim_records as records
from newsletter.publication.models import DkimKey, KeyAlgorithm, Publication

PUBLISHED_FOR: Final = datetime.timedelta(days=14)
"""How long a retired key's record stays: longer than its signatures count, which is 10 days (mail/dkim.py)."""


class KeyState(enum.StrEnum):
    """Where a key is in its life."""

    WAITING = "waiting"
    """Made; its record is to be published, and nothing is signed with it."""
    SIGNING = "signing"
    RETIRED = "retired"
    """Signs no more; its record stays published for mail under way."""
    SPENT = "spent"
    """Its record is to be replaced by an empty one; then it may be removed."""


class Act(enum.StrEnum):
    """What an operator can do to a key."""

    ACTIVATE = "activate"
    RETIRE = "retire"
    REMOVE = "remove"


_REFUSED: Final = {
    (Act.ACTIVATE, KeyState.SIGNING): "It signs already.",
    (Act.ACTIVATE, KeyState.SPENT): "Its time is over, and its record may be gone: make a new key.",
    (Act.RETIRE, KeyState.WAITING): "It has never signed: remove it.",
    (Act.RETIRE, KeyState.RETIRED): "It is retired already.",
    (Act.RETIRE, KeyState.SPENT): "It is retired already.",
    (Act.REMOVE, KeyState.SIGNING): "It signs: activate another key, or retire it, first.",
    (Act.REMOVE, KeyState.RETIRED): "Mail that it signed may be under way: its record must stay until it is spent.",
}


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key that signs now, taken out of the vault."""

    domain: str
    selector: str
    private: records.PrivateKey = field(repr=False)


def state(key: DkimKey, now: datetime.datetime) -> KeyState:
    """Return where `key` is in its life."""
    if spent := spent_at(key):
        return KeyState.SPENT if now >= spent else KeyState.RETIRED
    return KeyState.WAITING if key.signing_from is None else KeyState.SIGNING


def spent_at(key: DkimKey) -> datetime.datetime | None:
    """Return when the record of a retired key is to be replaced by an empty one."""
    return key.retired_at and key.retired_at + PUBLISHED_FOR


def why_not(act: Act, current: KeyState) -> str | None:
    """Return the reason why `act` cannot be done to a key in that state, if there is one."""
    return _REFUSED.get((act, current))


def wanted_record(key: DkimKey, now: datetime.datetime) -> str:
    """Return the TXT value that should be published for `key`."""
    return records.revoked(key.record) if state(key, now) is KeyState.SPENT else key.record


def listed(session: Session) -> list[DkimKey]:
    """Return all keys, by domain and from old to new."""
    return list(session.scalars(select(DkimKey).order_by(DkimKey.domain, DkimKey.created_at, DkimKey.id)))


def find(session: Session, selector: str, domain: str = "") -> DkimKey:
    """Return a key by its selector, and by its domain where several have it. Raises NotFoundError, InvalidError."""
    wanted = select(DkimKey).where(DkimKey.selector == selector.lower()).order_by(DkimKey.domain)
    found = session.scalars(wanted.where(DkimKey.domain == domain.lower()) if domain else wanted).all()
    if not found:
        raise NotFoundError(f"There is no key {selector}{f' of {domain}' if domain else ''}.")
    if len(found) > 1:
        raise InvalidError(f"Say of which domain: {', '.join(key.domain for key in found)}.")
    return found[0]


def get(session: Session, key_id: int) -> DkimKey:
    """Return a key by its number. Raises NotFoundError."""
    key = session.get(DkimKey, key_id)
    if key is None:
        raise NotFoundError("There is no such key.")
    return key


def generate(
    session: Session,
    vault: Vault,
    domain: str,
    now: datetime.datetime,
    *,
    selector: str = "",
    algorithm: KeyAlgorithm = KeyAlgorithm.RSA,
) -> DkimKey:
    """Make a key for `domain` that waits to be published, and return it.

    Without a `selector` one is made from the month. Raises InvalidError for a name that the DNS cannot hold, and
    ConflictError for one that is taken.
    """
    domain = domain.strip().lower()
    taken = set(session.scalars(select(DkimKey.selector).where(DkimKey.domain == domain)))
    selector = selector.strip().lower() or records.free_selector(taken, now)
    if reason := records.why_not(selector, domain):
        raise InvalidError(reason)
    if selector in taken:
        raise ConflictError(f"{domain} has a key {selector} already.")
    private = records.new_key(algorithm)
    key = DkimKey(
        domain=domain,
        selector=selector,
        algorithm=algorithm,
        sealed=vault.seal(records.pem(private)),
        record=records.record(private),
        created_at=now,
    )
    session.add(key)
    session.flush()
    return key


def activate(session: Session, key: DkimKey, now: datetime.datetime) -> DkimKey | None:
    """Let `key` sign from now on, and return the key that it takes over from, which is retired by that.

    Whoever calls has seen its record published. Raises ConflictError.
    """
    others = _signing_beside(session, key)
    _refuse(Act.ACTIVATE, key, now)
    if key.algorithm is KeyAlgorithm.ED25519 and not any(one.algorithm is KeyAlgorithm.RSA for one in others):
        raise ConflictError(f"Not everybody can read Ed25519: activate an RSA key of {key.domain} first.")
    before = next((one for one in others if one.algorithm is key.algorithm), None)
    if before is not None:
        before.retired_at = now
        session.flush()  # the database lets one key of a kind sign: this one must have stopped
    key.signing_from, key.retired_at = now, None
    session.flush()
    return before


def retire(session: Session, key: DkimKey, now: datetime.datetime) -> None:
    """Let `key` sign no more, without a successor. Raises ConflictError."""
    others = _signing_beside(session, key)
    _refuse(Act.RETIRE, key, now)
    if key.algorithm is KeyAlgorithm.RSA and others:
        raise ConflictError(f"Not everybody can read Ed25519: retire {others[0].selector} first.")
    key.retired_at = now
    session.flush()


def remove(session: Session, key: DkimKey, now: datetime.datetime) -> None:
    """Forget `key`, its private half too. Raises ConflictError while it signs or its signatures count."""
    _refuse(Act.REMOVE, key, now)
    session.delete(key)
    session.flush()


def signing_keys(session: Session, vault: Vault, domain: str) -> list[StoredKey]:
    """Return what signs mail from `domain` now, ready for use: one query, and a tenth of a millisecond for each key.

    Raises InvalidError when the vault cannot open a key: mail that should be signed does not leave unsigned.
    """
    found = session.execute(
        select(DkimKey.domain, DkimKey.selector, DkimKey.sealed)
        .where(DkimKey.domain == domain.lower(), DkimKey.signing_from.is_not(None), DkimKey.retired_at.is_(None))
        .order_by(DkimKey.id)
    )
    return [StoredKey(row.domain, row.selector, records.from_pem(vault.open(row.sealed))) for row in found]


def _signing_beside(session: Session, key: DkimKey) -> list[DkimKey]:
    """Return the domain's other keys that sign. Operators who change keys at the same time take turns."""
    session.execute(lock_rows(session, select(Publication.id)))
    session.refresh(key)
    wanted = select(DkimKey).where(
        DkimKey.domain == key.domain,
        DkimKey.id != key.id,
        DkimKey.signing_from.is_not(None),
        DkimKey.retired_at.is_(None),
    )
    return list(session.scalars(wanted.execution_options(populate_existing=True)))


def _refuse(act: Act, key: DkimKey, now: datetime.datetime) -> None:
    if reason := why_not(act, state(key, now)):
        raise ConflictError(f"The key {key.selector} of {key.domain}: {reason}")
