"""The two mails that answer a sign-up: "please confirm" and "you are already subscribed".

They are no list mail and no advertising: no List-* header, no article, no slogan, and not a word that a visitor typed
(standards J13, L15). A sender of their own keeps them apart from digests (F14).
"""

import datetime
from dataclasses import dataclass

from newsletter.foundation import languages
from newsletter.mail import headers, message
from newsletter.mail.addresses import address
from newsletter.mail.cleaning import subject
from newsletter.mail.dkim import Signer
from newsletter.mail.fragments import encode as encoded
from newsletter.mail.shapes import Envelope, Message, PublicationFacts, Rendered
from newsletter.mail.stationery import stationery
from newsletter.mail.urls import own_url


@dataclass(frozen=True, slots=True)
class ConfirmationLinks:
    """The page with the button, and the page where whoever did not ask stops further mails."""

    confirm: str
    not_me: str


def confirmation(
    facts: PublicationFacts, language: str, links: ConfirmationLinks, good_for: datetime.timedelta
) -> Rendered:
    """Return the words of a confirmation mail whose link works for `good_for`."""
    lifetime = languages.span(good_for, language)
    return _rendered(
        "confirmation", facts, language, confirm=own_url(links.confirm), not_me=own_url(links.not_me), lifetime=lifetime
    )


def already_subscribed(facts: PublicationFacts, language: str, preferences: str) -> Rendered:
    """Return the words of the mail for somebody who signs up once more; `preferences` is the page's address."""
    return _rendered("already-subscribed", facts, language, preferences=own_url(preferences))


def encode(facts: PublicationFacts, mail: Rendered, envelope: Envelope, signer: Signer | None = None) -> Message:
    """Return `mail`, one of the above, as bytes for the reader that `envelope` names."""
    recipient = address(envelope.to)
    return message.build(
        envelope,
        recipient,
        (
            headers.mailbox("From", facts.name, address(facts.confirmation_from)),
            headers.mailbox("Reply-To", facts.name, address(facts.contact_address)),
            headers.to(recipient),
            headers.unstructured("Subject", mail.subject),
            headers.date(envelope.date),
            headers.message_id(envelope.message_id),
            headers.structured("Auto-Submitted", "auto-generated"),
            headers.structured("X-Auto-Response-Suppress", "OOF, AutoReply"),
        ),
        encoded(mail.text),
        encoded(mail.html),
        signer,
    )


def _rendered(name: str, facts: PublicationFacts, language: str, **values: str) -> Rendered:
    paper = stationery(facts, language)
    return Rendered(
        subject(paper.plain(f"{name}/subject.txt", **values), facts.name),
        paper.plain(f"{name}/body.txt", **values),
        paper.page(f"{name}/body.html", **values),
    )
