"""Signing up. The web request stores one row and knows nothing; here a worker decides what becomes of each.

So the page answers the same, with the same work, whoever's address was typed (standards D3, reliability 1b#3).
"""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import column, exists, insert, select, table
from sqlalchemy.orm import Session

from newsletter.audience import addresses, caps, consent, suppression
from newsletter.audience.confirmation import new_confirmation
from newsletter.audience.models import (
    ConfirmationKind,
    ConsentAct,
    SignupOutcome,
    SignupRequest,
    Subscriber,
    Subscription,
    SubscriptionState,
)
from newsletter.foundation.db import insert_new
from newsletter.foundation.secrets import Hasher

_CATEGORIES = table("categories", column("id"))
"""Another room's; looked at only to see which ids still exist."""

ANYTHING_WAITING: Final = exists().where(SignupRequest.processed_at.is_(None))
"""Whether a request waits to be decided."""


@dataclass(frozen=True)
class Signup:
    """A form's validated fields: `address` from addresses.check, `consent_text_ids` from consent.agreed."""

    address: str
    category_ids: Sequence[int]
    cadence_id: int
    language: str
    timezone: str
    consent_text_ids: Sequence[int]
    name: str = ""
    source: consent.Client = consent.NOWHERE


@dataclass(frozen=True)
class Known:
    """What decides about a request from an address that we have already."""

    confirmed: bool
    refused: bool
    choices: Mapping[int, int]
    """Category to cadence, of what they get."""
    purposes: frozenset[str]
    """What they have confirmed their consent to."""


STRANGER = Known(confirmed=False, refused=False, choices={}, purposes=frozenset())


def request_signup(session: Session, signup: Signup, now: datetime.datetime) -> int:
    """Store what was submitted, one row, and return its id. Nothing is looked up and nobody is mailed."""
    result: Any = session.execute(
        insert(SignupRequest).values(
            created_at=now,
            address=signup.address,
            name=" ".join(signup.name.split())[:120],
            category_ids=sorted(set(signup.category_ids)),
            cadence_id=signup.cadence_id,
            language=signup.language,
            timezone=signup.timezone,
            consent_text_ids=sorted(set(signup.consent_text_ids)),
            form=signup.source.form,
            page=signup.source.page,
            ip=signup.source.ip,
            user_agent=signup.source.user_agent,
        )
    )
    return int(result.inserted_primary_key[0])


def decide(
    wish: SignupRequest,
    purposes: Iterable[str],
    known: Known,
    sent: Sequence[caps.Sent],
    *,
    suppressed: bool,
    now: datetime.datetime,
) -> SignupOutcome:
    """Say what becomes of a request for consent to `purposes`, from an address that was `sent` these mails lately."""
    if suppressed or known.refused:
        return SignupOutcome.SUPPRESSED
    has_all = bool(wish.category_ids) and all(known.choices.get(id_) == wish.cadence_id for id_ in wish.category_ids)
    already = has_all and known.purposes.issuperset(purposes)
    kind = ConfirmationKind.ALREADY if already else ConfirmationKind.CONFIRM
    if not caps.allows(kind, sent, confirmed=known.confirmed, now=now):
        return SignupOutcome.CAPPED
    return SignupOutcome.ALREADY if already else SignupOutcome.CONFIRMATION


def process_waiting(session: Session, hasher: Hasher, now: datetime.datetime, limit: int = 200) -> int:
    """Decide up to `limit` waiting requests, oldest first, and return how many those were.

    What is to be mailed stands there as a Confirmation row without a delivery.
    """
    caps.alone(session)
    batch = _Batch(session, hasher, now, limit)
    for request in batch.requests:
        outcome = batch.decide(request)
        request.processed_at, request.outcome = now, outcome
        if outcome is SignupOutcome.CONFIRMATION:
            batch.ask(request)
        elif outcome is SignupOutcome.ALREADY:
            batch.tell(request)
    session.flush()
    return len(batch.requests)


class _Batch:
    """Waiting requests and all that their decisions need, read by a handful of queries whatever their number."""

    def __init__(self, session: Session, hasher: Hasher, now: datetime.datetime, limit: int) -> None:
        self._session, self._hasher, self._now = session, hasher, now
        self.requests = session.scalars(
            select(SignupRequest)
            .where(SignupRequest.processed_at.is_(None))
            .order_by(SignupRequest.id)
            .limit(limit)
            .execution_options(populate_existing=True)
        ).all()
        typed = [request.address for request in self.requests]
        self._hashes = {
            address: (suppression.address_hash(hasher, address), suppression.domain_hash(hasher, address))
            for address in typed
        }
        self._keys = {address: caps.key(hasher, address) for address in typed}
        self._sent = caps.sent_to(session, set(self._keys.values()), now)
        self._suppressed = suppression.suppressed_among(
            session, [hashed for pair in self._hashes.values() for hashed in pair]
        )
        self._categories = self._existing({id_ for request in self.requests for id_ in request.category_ids})
        text_ids = {id_ for request in self.requests for id_ in request.consent_text_ids}
        self._words = {words.id: words for words in consent.texts(session, text_ids)}
        self._ids: dict[str, int] = {}
        self._known = self._read_known([addresses.fold(address) for address in typed])

    def decide(self, request: SignupRequest) -> SignupOutcome:
        """Say what becomes of one request."""
        request.category_ids = [id_ for id_ in request.category_ids if id_ in self._categories]
        return decide(
            request,
            [words.purpose for words in self._agreed(request)],
            self._known.get(addresses.fold(request.address), STRANGER),
            self._sent[self._keys[request.address]],
            suppressed=not self._suppressed.isdisjoint(self._hashes[request.address]),
            now=self._now,
        )

    def ask(self, request: SignupRequest) -> None:
        """Make the reader, pending, unless there is one, and have a mail ask for the proof."""
        subscriber_id = self._subscriber_id(request)
        confirmation = new_confirmation(
            self._session,
            subscriber_id,
            ConfirmationKind.CONFIRM,
            wanted={
                "category_ids": request.category_ids,
                "cadence_id": request.cadence_id,
                "name": request.name,
                "timezone": request.timezone,
                "language": request.language,
                "consent_text_ids": request.consent_text_ids,
            },
            source=_source(request),
            now=self._now,
        )
        self._count(request, ConfirmationKind.CONFIRM)
        consent.record(
            self._session,
            [
                consent.entry(
                    subscriber_id, words, ConsentAct.GIVEN, _source(request), request.created_at, confirmation.id
                )
                for words in self._agreed(request)
            ],
        )
        # Where the category comes at another cadence already, that one stays until the button is pressed.
        pending: list[dict[str, Any]] = [
            {
                "subscriber_id": subscriber_id,
                "category_id": category_id,
                "cadence_id": request.cadence_id,
                "state": SubscriptionState.PENDING,
                "created_at": self._now,
                "first_number": 0,
            }
            for category_id in request.category_ids
        ]
        if pending:
            self._session.execute(insert_new(self._session, Subscription), pending)

    def tell(self, request: SignupRequest) -> None:
        """Have a mail say that they get all this already."""
        new_confirmation(
            self._session,
            self._subscriber_id(request),
            ConfirmationKind.ALREADY,
            wanted={"language": request.language},
            source=consent.NOWHERE,
            now=self._now,
        )
        self._count(request, ConfirmationKind.ALREADY)

    def _agreed(self, request: SignupRequest) -> list[consent.Words]:
        return [self._words[id_] for id_ in request.consent_text_ids if id_ in self._words]

    def _count(self, request: SignupRequest, kind: ConfirmationKind) -> None:
        key = self._keys[request.address]
        caps.count(self._session, key, kind, self._now)
        self._sent[key].append(caps.Sent(kind, self._now))

    def _subscriber_id(self, request: SignupRequest) -> int:
        folded = addresses.fold(request.address)
        if folded not in self._ids:
            address_hash, domain_hash = self._hashes[request.address]
            self._session.execute(
                insert_new(self._session, Subscriber).values(
                    address=request.address,
                    folded=folded,
                    address_hash=address_hash,
                    domain_hash=domain_hash,
                    name="",
                    language=request.language,
                    timezone=request.timezone,
                    created_at=self._now,
                    generated=False,
                )
            )
            self._ids[folded] = self._session.scalars(select(Subscriber.id).where(Subscriber.folded == folded)).one()
        return self._ids[folded]

    def _read_known(self, folded: list[str]) -> dict[str, Known]:
        """Read, and hold against removal, those of the addresses that we have."""
        statement = select(Subscriber.id, Subscriber.folded, Subscriber.confirmed_at, Subscriber.refused_at).where(
            Subscriber.folded.in_(folded)
        )
        if self._session.get_bind().dialect.name == "postgresql":
            statement = statement.order_by(Subscriber.id).with_for_update(key_share=True)
        readers = self._session.execute(statement).all()
        self._ids = {reader.folded: reader.id for reader in readers}
        choices: dict[int, dict[int, int]] = {reader.id: {} for reader in readers}
        for row in self._session.execute(
            select(Subscription.subscriber_id, Subscription.category_id, Subscription.cadence_id).where(
                Subscription.subscriber_id.in_(choices), Subscription.state == SubscriptionState.ACTIVE
            )
        ):
            choices[row.subscriber_id][row.category_id] = row.cadence_id
        standing = consent.standing(self._session, list(choices))
        return {
            reader.folded: Known(
                confirmed=reader.confirmed_at is not None,
                refused=reader.refused_at is not None,
                choices=choices[reader.id],
                purposes=frozenset(standing[reader.id]),
            )
            for reader in readers
        }

    def _existing(self, category_ids: set[int]) -> frozenset[int]:
        return frozenset(
            self._session.scalars(select(_CATEGORIES.c.id).where(_CATEGORIES.c.id.in_(sorted(category_ids))))
        )


def _source(request: SignupRequest) -> consent.Client:
    return consent.Client(request.form, request.page, request.ip, request.user_agent)
