"""What readers agree to: the words, exactly as shown, and an append-only record of every act (standards J1, J2, J4)."""

import datetime
import hashlib
import ipaddress
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from newsletter.audience.models import Consent, ConsentAct, ConsentText
from newsletter.foundation.db import insert_new
from newsletter.foundation.errors import InvalidError
from newsletter.foundation.languages import N_, catalogue
from newsletter.publication.identity import Identity
from newsletter.publication.models import Affiliate

NEWSLETTER: Final = "newsletter"
"""The purpose without which nothing is sent."""
_AFFILIATE: Final = "affiliate:"
_WORDS: Final = N_(
    "I want %(publication)s to send me the newsletter that I have chosen by e-mail, and to store my address and my "
    "choices for it. I can take this back at any time, for example with the link in every mail."
)
_WORDS_AFFILIATE: Final = N_(
    "I agree that %(publication)s gives my e-mail address to %(affiliate)s, and that %(affiliate)s sends me "
    "advertising by e-mail. This is not needed for the newsletter, and I can take it back at any time."
)


@dataclass(frozen=True)
class Client:
    """Where an act came from, as far as it is kept: `client()` makes it."""

    form: str = ""
    page: str = ""
    ip: str = ""
    user_agent: str = ""


@dataclass(frozen=True)
class Words:
    """A text that is shown beside an unticked box."""

    id: int
    purpose: str
    text: str

    @property
    def affiliate(self) -> str | None:
        """The slug of the affiliate that it is about."""
        return self.purpose.removeprefix(_AFFILIATE) if self.purpose.startswith(_AFFILIATE) else None


NOWHERE: Final = Client()


def client(form: str, page: str, ip: str, user_agent: str, *, keep: bool) -> Client:
    """Return where an act came from: IP address cut to /24 or /48 and browser only if `keep` (a setting) says so."""
    return Client(
        form=form[:60], page=page[:2000], ip=truncated(ip) if keep else "", user_agent=user_agent[:300] if keep else ""
    )


def truncated(ip: str) -> str:
    """Return the network of an IP address: /24 of version 4, /48 of version 6; empty for anything else."""
    try:
        address = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    network = ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False)
    return str(network.network_address)


def purpose_of(affiliate_slug: str) -> str:
    """Return the purpose that stands for consent to one affiliate."""
    return _AFFILIATE + affiliate_slug


def find_texts(
    session: Session, publication: Identity, affiliates: Sequence[Affiliate], language: str
) -> list[Words] | None:
    """Return the words for the form, the newsletter's first, or None while one of them was never stored."""
    wanted = _wording(publication, affiliates, language)
    rows = session.execute(
        select(ConsentText.id, ConsentText.purpose, ConsentText.sha256, ConsentText.text).where(
            ConsentText.language == language, ConsentText.sha256.in_([_digest(text) for text in wanted.values()])
        )
    )
    stored = {(row.purpose, row.sha256): Words(row.id, row.purpose, row.text) for row in rows}
    keys = [(purpose, _digest(text)) for purpose, text in wanted.items()]
    return [stored[key] for key in keys] if all(key in stored for key in keys) else None


def current_texts(
    session: Session, publication: Identity, affiliates: Sequence[Affiliate], language: str, now: datetime.datetime
) -> list[Words]:
    """As `find_texts`, but store what is new as the next version: what was shown must be provable."""
    for purpose, text in _wording(publication, affiliates, language).items():
        newest = select(func.coalesce(func.max(ConsentText.version), 0) + 1).where(
            ConsentText.purpose == purpose, ConsentText.language == language
        )
        session.execute(
            insert_new(session, ConsentText).values(
                purpose=purpose,
                language=language,
                version=newest.scalar_subquery(),
                text=text,
                sha256=_digest(text),
                created_at=now,
            )
        )
    found = find_texts(session, publication, affiliates, language)
    assert found is not None
    return found


def agreed(session: Session, text_ids: Collection[int], affiliates: Sequence[Affiliate]) -> list[int]:
    """Return those of the posted `text_ids` that are words of ours for the newsletter or a present affiliate.

    One text per purpose. Raises InvalidError when the newsletter's is not among them.
    """
    purposes = {NEWSLETTER, *(purpose_of(affiliate.slug) for affiliate in affiliates)}
    rows = session.execute(
        select(ConsentText.purpose, func.max(ConsentText.id).label("newest"))
        .where(ConsentText.id.in_(text_ids), ConsentText.purpose.in_(purposes))
        .group_by(ConsentText.purpose)
    )
    found: dict[str, int] = {row.purpose: row.newest for row in rows}
    if NEWSLETTER not in found:
        raise InvalidError(N_("Please tick the box, so that we may write to you."))
    return sorted(found.values())


def texts(session: Session, text_ids: Iterable[int]) -> list[Words]:
    """Return stored words by id, the newsletter's first."""
    rows = session.execute(
        select(ConsentText.id, ConsentText.purpose, ConsentText.text).where(ConsentText.id.in_(list(text_ids)))
    )
    found = [Words(row.id, row.purpose, row.text) for row in rows]
    return sorted(found, key=lambda words: (words.purpose != NEWSLETTER, words.purpose))


def record(session: Session, entries: Sequence[dict[str, Any]]) -> None:
    """Append entries made by `entry`."""
    if entries:
        session.execute(insert(Consent), list(entries))


def entry(
    subscriber_id: int,
    words: Words,
    act: ConsentAct,
    source: Client,
    at: datetime.datetime,
    confirmation_id: int | None = None,
) -> dict[str, Any]:
    """Return one line of the record."""
    return {
        "subscriber_id": subscriber_id,
        "purpose": words.purpose,
        "act": act,
        "text_id": words.id,
        "at": at,
        "form": source.form,
        "page": source.page,
        "ip": source.ip,
        "user_agent": source.user_agent,
        "confirmation_id": confirmation_id,
    }


def standing(session: Session, subscriber_ids: Collection[int]) -> dict[int, dict[str, Consent]]:
    """Return for each reader the consents that stand, by purpose: confirmed, and not taken back since."""
    found: dict[int, dict[str, Consent]] = {subscriber_id: {} for subscriber_id in subscriber_ids}
    for line in session.scalars(
        select(Consent)
        .where(Consent.subscriber_id.in_(subscriber_ids), Consent.act != ConsentAct.GIVEN)
        .order_by(Consent.id)
    ):
        if line.act is ConsentAct.CONFIRMED:
            found[line.subscriber_id][line.purpose] = line
        else:
            found[line.subscriber_id].pop(line.purpose, None)
    return found


def withdraw(
    session: Session, subscriber_id: int, purposes: Collection[str] | None, source: Client, now: datetime.datetime
) -> list[str]:
    """Record that those of `purposes` (None: all) that stand are taken back, and return them."""
    held = standing(session, [subscriber_id])[subscriber_id]
    taken = [purpose for purpose in held if purposes is None or purpose in purposes]
    record(
        session,
        [
            entry(subscriber_id, Words(held[purpose].text_id, purpose, ""), ConsentAct.WITHDRAWN, source, now)
            for purpose in taken
        ],
    )
    return taken


@dataclass(frozen=True)
class Proof:
    """One line of what can be shown about a reader's consent."""

    at: datetime.datetime
    act: ConsentAct
    purpose: str
    text: str
    version: int
    sha256: str
    language: str
    form: str
    page: str
    ip: str
    user_agent: str
    confirmation_id: int | None


def proof(session: Session, subscriber_id: int) -> list[Proof]:
    """Return everything that was recorded about one reader, oldest first, with the words themselves."""
    rows = session.execute(
        select(Consent, ConsentText)
        .join(ConsentText, ConsentText.id == Consent.text_id)
        .where(Consent.subscriber_id == subscriber_id)
        .order_by(Consent.id)
    )
    return [
        Proof(
            line.at, line.act, line.purpose, words.text, words.version, words.sha256, words.language,
            line.form, line.page, line.ip, line.user_agent, line.confirmation_id,
        )
        for line, words in rows
    ]  # fmt: skip


def _wording(publication: Identity, affiliates: Sequence[Affiliate], language: str) -> dict[str, str]:
    say = catalogue(language).gettext
    words = {NEWSLETTER: say(_WORDS) % {"publication": publication.name}}
    for affiliate in affiliates:
        names = {"publication": publication.name, "affiliate": affiliate.name}
        words[purpose_of(affiliate.slug)] = say(_WORDS_AFFILIATE) % names
    return words


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
