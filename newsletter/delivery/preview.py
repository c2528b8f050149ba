"""What a digest would look like for a reader, shown or sent as a test. Neither makes a run nor a delivery."""

import asyncio
import datetime
import secrets

from sqlalchemy.orm import Session

from newsletter.audience.models import Cadence, Subscriber
from newsletter.delivery import relay_views, relays
from newsletter.delivery.composing_runs import Frames
from newsletter.delivery.endpoints import Endpoint
from newsletter.delivery.opening import RelayError
from newsletter.delivery.replies import Outcome, Verdict
from newsletter.delivery.signing import signer_for
from newsletter.delivery.smtp import Job
from newsletter.delivery.smtp import Session as Connection
from newsletter.digests.forecast import preview_selection
from newsletter.foundation.errors import ConflictError, NotFoundError
from newsletter.foundation.services import services
from newsletter.mail.shapes import Envelope, Marking, Message, PersonalLinks, ReaderPart, Rendered
from newsletter.publication import identity


def preview(session: Session, cadence: Cadence, subscriber_id: int | None, now: datetime.datetime) -> Rendered:
    """Return what the reader (None: one who takes everything) would get now; its personal links lead to the site.

    Raises NotFoundError where there is no such reader, or nothing new for them.
    """
    frames, language, zone, part = _part(session, cadence, subscriber_id, now)
    return frames.composer(language, zone).render(part)


def compose_test(
    session: Session, cadence: Cadence, subscriber_id: int | None, to: str, now: datetime.datetime
) -> Message:
    """Return the same as a mail to `to`, marked as a test. Raises NotFoundError and RenderError."""
    frames, language, zone, part = _part(session, cadence, subscriber_id, now)
    domain = frames.facts.digest_from.rpartition("@")[2]
    envelope = Envelope(
        to=to,
        message_id=f"<test.{secrets.token_hex(8)}@{domain}>",
        return_path=frames.facts.digest_from,
        date=now,
    )
    signer = signer_for(session, services().vault, frames.facts.digest_from)
    return frames.composer(language, zone, Marking.TEST).compose(part, envelope, signer)


def send_now(session: Session, cadence: Cadence, message: Message, now: datetime.datetime) -> Outcome:
    """Hand one message to a relay that takes the cadence's mail, and wait for its reply.

    A relay that is away is passed over for the next. Raises ConflictError with the relay's words on refusal.
    """
    sender = identity.load(session).digest_from
    endpoints = relays.usable(session, sender, cadence.slug, now)
    if not endpoints:
        raise ConflictError(f"No mail can be sent now. {relay_views.why_none(session, sender, cadence.slug, now)}")
    outcome = Outcome(Verdict.UNSENT)
    for endpoint in endpoints:
        outcome = asyncio.run(_send(endpoint, message))
        if outcome.verdict not in (Verdict.UNSENT, Verdict.OURS):
            break
    if outcome.verdict is not Verdict.ACCEPTED:
        raise ConflictError(
            f"The relay did not take the mail: {outcome.code or ''} {outcome.text}".replace(":  ", ": ")
        )
    return outcome


async def _send(relay: Endpoint, message: Message) -> Outcome:
    connection, outcomes = Connection(), list[Outcome]()
    jobs = iter([Job(0, message.return_path, message.recipient, message.signed().pieces, message.smtputf8)])
    try:
        await connection.open(relay)
    except RelayError as error:
        return error.outcome
    await connection.send(lambda: next(jobs, None), lambda _: None, lambda _, outcome: outcomes.append(outcome))
    connection.close()
    await asyncio.sleep(0.05)  # the farewell leaves before the loop ends
    return outcomes[0]


def _part(
    session: Session, cadence: Cadence, subscriber_id: int | None, now: datetime.datetime
) -> tuple[Frames, str, str, ReaderPart]:
    publication = identity.load(session)
    language, zone, name = publication.language, publication.timezone, ""
    if subscriber_id is not None:
        reader = session.get(Subscriber, subscriber_id)
        if reader is None:
            raise NotFoundError("There is no such subscriber.")
        language, zone, name = reader.language, reader.timezone, reader.name
    selection = preview_selection(session, cadence, subscriber_id)
    if not selection:
        raise NotFoundError("There is nothing new for this reader, so no mail would be sent.")
    article_ids = [article for section in selection.sections for article in section.article_ids]
    frames = Frames(session, cadence, "preview", now, article_ids)
    return (
        frames,
        language,
        zone,
        ReaderPart(frames.sections(selection), PersonalLinks.inert(publication.site_url), name),
    )
