"""What a mailing's messages are made of: from frozen rows to the mail room's values.

A composer is made once per mailing and worker process. For a group of deliveries it looks, in a few queries, at who
may still receive (the last look before the dot), and returns for each how to compose its message or why there is none.
"""

import datetime
from collections.abc import Callable, Sequence
from typing import Protocol

from sqlalchemy import Row, exists, or_, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from newsletter.audience.models import Confirmation, ConfirmationKind, Subscriber, Suppression
from newsletter.delivery.models import Mailing, MailingKind, Reason
from newsletter.foundation.links import Link
from newsletter.foundation.services import Services, services
from newsletter.foundation.tokens import Purpose
from newsletter.mail import confirmation as mails
from newsletter.mail.shapes import Envelope, Message, PublicationFacts
from newsletter.publication import identity

Compose = Callable[[], Message]
"""Makes one message. Raises RenderError."""
Due = Row[tuple[int, int | None, int | None, str | None, int, datetime.datetime | None]]
"""id, subscriber_id, confirmation_id, copy_address, after_number, offered_at of a delivery."""


class Composer(Protocol):
    """Makes the messages of one mailing."""

    def prepare(self, session: Session, rows: Sequence[Due], now: datetime.datetime) -> dict[int, Compose | Reason]:
        """Return for each delivery how to make its message, or why it is not sent."""


def composer(session: Session, mailing: Mailing) -> Composer:
    """Return the composer for `mailing`."""
    from newsletter.delivery.composing_runs import RunComposer  # it imports this module's names

    if mailing.kind is MailingKind.RUN:
        return RunComposer(session, mailing, services())
    return ConfirmationComposer(session, mailing, services())


def suppressed() -> ColumnElement[bool]:
    """Return the condition that a subscriber's address or domain is on the suppression list."""
    return exists().where(or_(Suppression.hash == Subscriber.address_hash, Suppression.hash == Subscriber.domain_hash))


def envelope(
    tools: Services, mailing: Mailing, row: Due, to: str, facts_domain: str, now: datetime.datetime
) -> Envelope:
    """Return what belongs to one delivery: a Message-ID that stays, a return path that names it, its Date."""
    domain = tools.settings.bounce_domain or facts_domain
    return Envelope(
        to=to,
        message_id=f"<{row.id}.{mailing.stamp}@{facts_domain}>",
        return_path=tools.links.return_path(row.id, domain),
        date=row.offered_at or now,
    )


class ConfirmationComposer:
    """Composes confirmation mails and "you are already subscribed" mails."""

    def __init__(self, session: Session, mailing: Mailing, tools: Services) -> None:
        self._mailing, self._tools = mailing, tools
        self._facts = facts(session)

    def prepare(self, session: Session, rows: Sequence[Due], now: datetime.datetime) -> dict[int, Compose | Reason]:
        """Look whether each confirmation still waits for its reader."""
        wanted = {row.confirmation_id: row for row in rows if row.confirmation_id is not None}
        found = session.execute(
            select(Confirmation, Subscriber.address, Subscriber.language, suppressed().label("suppressed"))
            .join(Subscriber, Subscriber.id == Confirmation.subscriber_id)
            .where(Confirmation.id.in_(wanted))
        )
        prepared: dict[int, Compose | Reason] = {row.id: Reason.EXPIRED for row in rows}
        for waiting, address, language, is_suppressed in found:
            row = wanted[waiting.id]
            if is_suppressed or waiting.refused_at:
                prepared[row.id] = Reason.SUPPRESSED
            elif waiting.kind is ConfirmationKind.CONFIRM and (waiting.confirmed_at or waiting.expires_at <= now):
                prepared[row.id] = Reason.EXPIRED
            else:
                prepared[row.id] = self._compose(row, waiting, address, language, now)
        return prepared

    def _compose(self, row: Due, waiting: Confirmation, address: str, language: str, now: datetime.datetime) -> Compose:
        links, tokens = self._tools.links, self._tools.tokens
        domain = self._facts.confirmation_from.rpartition("@")[2]
        post = envelope(self._tools, self._mailing, row, address, domain, now)
        if waiting.kind is ConfirmationKind.ALREADY:
            preferences = links.make(Link.PREFERENCES, waiting.subscriber_id, 0, row.id)
            return lambda: mails.encode(self._facts, mails.already_subscribed(self._facts, language, preferences), post)
        not_me = links.page(f"not-me/{tokens.make(Purpose.NOT_ME, waiting.id)}")
        both = mails.ConfirmationLinks(links.page(f"confirm/{tokens.make(Purpose.CONFIRM, waiting.id)}"), not_me)
        good_for = datetime.timedelta(seconds=Purpose.CONFIRM.lifetime)
        return lambda: mails.encode(self._facts, mails.confirmation(self._facts, language, both, good_for), post)


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
        accent_light=found.accent_light,
        accent_dark=found.accent_dark,
    )
