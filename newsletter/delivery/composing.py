"""What a mailing's messages are made of: from frozen rows to the mail room's values.

A composer is made once per mailing and worker process. For a group of deliveries it looks, in a query or two, at who
may still receive (the last look before the dot), and returns for each how to compose its message or why there is none.
"""

import datetime
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from sqlalchemy import bindparam, exists, or_, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from newsletter.audience.models import Confirmation, ConfirmationKind, Subscriber, Suppression
from newsletter.delivery.models import Delivery, DeliveryState, Mailing, MailingKind, Reason
from newsletter.delivery.routing import CONFIRMATIONS
from newsletter.delivery.signing import signer_for
from newsletter.foundation.errors import InvalidError, NewsletterError, RenderError
from newsletter.foundation.links import Link
from newsletter.foundation.services import Services, services
from newsletter.foundation.tokens import Purpose
from newsletter.mail import confirmation as mails
from newsletter.mail.shapes import Envelope, Message, PublicationFacts
from newsletter.publication import identity

Compose = Callable[[], Message]
"""Makes one message. Raises RenderError."""


class Prepared(NamedTuple):
    """A delivery on the point of being sent."""

    id: int
    make: Compose | Reason
    """How to make its message, or why it is not sent."""
    domain: str
    """Of the reader's address."""


class CannotComposeError(NewsletterError):
    """No message can be made of a mailing: the publication lacks what every mail needs."""

    def __init__(self, mailing_id: int, why: str) -> None:
        super().__init__(why)
        self.mailing_id = mailing_id


class Composer(Protocol):
    """Makes the messages of one mailing."""

    sender: str
    """The address in From."""
    stream: str
    full: bool
    """Whether each message is rendered in full, because its template asks for it."""

    @property
    def signs(self) -> bool:
        """Whether its messages are signed, which takes longer than all else."""

    def prepare(
        self, session: Session, chunk_id: int, after_id: int, limit: int, now: datetime.datetime
    ) -> list[Prepared]:
        """Return the next `limit` planned deliveries of a chunk, by their ids, from above `after_id`."""


def composer(session: Session, mailing: Mailing) -> Composer:
    """Return the composer for `mailing`. Raises CannotComposeError."""
    from newsletter.delivery.composing_runs import RunComposer  # it imports this module's names

    try:
        if mailing.kind is MailingKind.RUN:
            return RunComposer(session, mailing, services())
        return ConfirmationComposer(session, mailing, services())
    except (RenderError, InvalidError) as error:  # something is missing, or a signing key cannot be opened
        raise CannotComposeError(mailing.id, str(error)) from error


def suppressed() -> ColumnElement[bool]:
    """Return the condition that a subscriber's address or domain is on the suppression list."""
    return or_(  # each by the table's key, which one condition with both is not
        exists().where(Suppression.hash == Subscriber.address_hash),
        exists().where(Suppression.hash == Subscriber.domain_hash),
    )


def upcoming() -> tuple[ColumnElement[bool], ...]:
    """Return the condition that a Delivery is among those that `prepare` is asked for."""
    return (
        Delivery.chunk_id == bindparam("chunk_id"),
        Delivery.id > bindparam("after_id"),
        Delivery.state == DeliveryState.PLANNED,
    )


class Stamps:
    """What belongs to each delivery of a mailing: a Message-ID that stays, a return path that names it, its Date."""

    def __init__(self, tools: Services, mailing: Mailing, sender: str) -> None:
        domain = sender.rpartition("@")[2]
        self._tail = f".{mailing.stamp}@{domain}>"
        self._bounce_domain = tools.settings.bounce_domain or domain
        self._links = tools.links

    def envelope(
        self, delivery_id: int, to: str, offered_at: datetime.datetime | None, now: datetime.datetime
    ) -> Envelope:
        """Return the envelope of a delivery that was first offered at `offered_at`, or is now."""
        return_path = self._links.return_path(delivery_id, self._bounce_domain)
        return Envelope(to, f"<{delivery_id}{self._tail}", return_path, offered_at or now, now)


_WAITING = (
    select(
        Delivery.id,
        Delivery.offered_at,
        Confirmation,
        Subscriber.address,
        Subscriber.language,
        suppressed().label("suppressed"),
    )
    .outerjoin(Confirmation, Confirmation.id == Delivery.confirmation_id)
    .outerjoin(Subscriber, Subscriber.id == Confirmation.subscriber_id)
    .where(*upcoming())
    .order_by(Delivery.id)
    .limit(bindparam("limit"))
)


class ConfirmationComposer:
    """Composes confirmation mails and "you are already subscribed" mails."""

    stream = CONFIRMATIONS
    full = False

    def __init__(self, session: Session, mailing: Mailing, tools: Services) -> None:
        self._tools = tools
        self._facts = facts(session)
        self.sender = self._facts.confirmation_from
        self._stamps = Stamps(tools, mailing, self.sender)
        self._signer = signer_for(session, tools.vault, self.sender)

    @property
    def signs(self) -> bool:
        """As the Composer's."""
        return self._signer is not None

    def prepare(
        self, session: Session, chunk_id: int, after_id: int, limit: int, now: datetime.datetime
    ) -> list[Prepared]:
        """Look whether each confirmation still waits for its reader."""
        self._signer = signer_for(session, self._tools.vault, self.sender)
        rows = session.execute(_WAITING, {"chunk_id": chunk_id, "after_id": after_id, "limit": limit})
        prepared = []
        for delivery_id, offered_at, waiting, address, language, is_suppressed in rows:
            make: Compose | Reason
            if waiting is None:
                make = Reason.EXPIRED
            elif is_suppressed or waiting.refused_at:
                make = Reason.SUPPRESSED
            elif waiting.kind is ConfirmationKind.CONFIRM and (waiting.confirmed_at or waiting.expires_at <= now):
                make = Reason.EXPIRED
            else:
                make = self._compose(delivery_id, waiting, address, language, offered_at, now)
            prepared.append(Prepared(delivery_id, make, (address or "").rpartition("@")[2]))
        return prepared

    def _compose(
        self,
        delivery_id: int,
        waiting: Confirmation,
        address: str,
        language: str,
        offered_at: datetime.datetime | None,
        now: datetime.datetime,
    ) -> Compose:
        links, tokens = self._tools.links, self._tools.tokens
        post = self._stamps.envelope(delivery_id, address, offered_at, now)
        if waiting.kind is ConfirmationKind.ALREADY:
            preferences = links.make(Link.PREFERENCES, waiting.subscriber_id, 0, delivery_id)
            render = partial(mails.already_subscribed, self._facts, language, preferences)
        else:
            not_me = links.page(f"not-me/{tokens.make(Purpose.NOT_ME, waiting.id)}")
            both = mails.ConfirmationLinks(links.page(f"confirm/{tokens.make(Purpose.CONFIRM, waiting.id)}"), not_me)
            good_for = datetime.timedelta(seconds=Purpose.CONFIRM.lifetime)
            render = partial(mails.confirmation, self._facts, language, both, good_for)
        return lambda: mails.encode(self._facts, render(), post, self._signer)


def facts(session: Session) -> PublicationFacts:
    """Return the publication in the mail room's terms. Raises RenderError while something is missing (J14)."""
    found = identity.load(session)
    return PublicationFacts(
        name=found.name,
        site_url=found.site_url,
        postal_address=found.postal_address,
        privacy_url=found.privacy_url,
        contact_address=found.contact_address,
        digest_from=found.digest_from,
        confirmation_from=found.confirmation_from,
        list_domain=found.list_domain,
        sender_id=found.sender_id,
        signup_url=services().links.page("subscribe"),
        templates=Path(own) if (own := services().settings.templates) else None,
        accent_light=found.accent_light,
        accent_dark=found.accent_dark,
    )
