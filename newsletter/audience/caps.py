"""How many mails an address gets that it did not prove to have asked for (standards D4, D5; list bombing).

The counters stand in the database under a keyed hash of the mailbox, whatever becomes of the sign-up.
"""

import datetime
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from newsletter.audience import addresses
from newsletter.audience.models import ConfirmationKind, MailCap
from newsletter.foundation.secrets import Hasher

_MINUTE: Final = datetime.timedelta(minutes=1)
_DAY: Final = datetime.timedelta(days=1)
WINDOW: Final = 30 * _DAY
"""How far back mails are counted."""
_LIMITS: Final = ((15 * _MINUTE, 1), (_DAY, 3))
_UNCONFIRMED_LIMIT: Final = 5
"""In the whole window, for an address that was never confirmed."""
_LOCK: Final = 0x5169_6E55_7063_6170
"""Any number that no other advisory lock of ours has."""


@dataclass(frozen=True)
class Sent:
    """One mail that was asked for."""

    kind: ConfirmationKind
    at: datetime.datetime


def allows(kind: ConfirmationKind, sent: Sequence[Sent], *, confirmed: bool, now: datetime.datetime) -> bool:
    """Decide whether one more mail of `kind` may go to a mailbox that was `sent` these within the window."""
    for span, limit in _LIMITS:
        if sum(mail.at > now - span for mail in sent) >= limit:
            return False
    if not confirmed and sum(mail.at > now - WINDOW for mail in sent) >= _UNCONFIRMED_LIMIT:
        return False
    return kind is ConfirmationKind.CONFIRM or all(
        mail.kind is not ConfirmationKind.ALREADY or mail.at <= now - _DAY for mail in sent
    )


def key(hasher: Hasher, address: str) -> str:
    """Return what the counters know the mailbox behind `address` by."""
    return hasher.digest("mail-cap", addresses.cap_key(address))


def alone(session: Session) -> None:
    """Let nobody else decide until this transaction ends: spellings of one mailbox must not be counted side by side.

    SQLite's writers are serial anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_LOCK)))


def sent_to(session: Session, keys: Iterable[str], now: datetime.datetime) -> dict[str, list[Sent]]:
    """Return for each key the mails within the window."""
    found: defaultdict[str, list[Sent]] = defaultdict(list)
    rows = session.execute(
        select(MailCap.key_hash, MailCap.kind, MailCap.sent_at).where(
            MailCap.key_hash.in_(list(keys)), MailCap.sent_at > now - WINDOW
        )
    )
    for hashed, kind, at in rows:
        found[hashed].append(Sent(kind, at))
    return found


def count(session: Session, hashed: str, kind: ConfirmationKind, now: datetime.datetime) -> None:
    """Remember that a mail of `kind` goes out."""
    session.add(MailCap(key_hash=hashed, kind=kind, sent_at=now))
