"""The publication as the rest of the house sees it: one frozen value, loaded once per request or task."""

import datetime
from dataclasses import asdict, dataclass, fields

from sqlalchemy.orm import Session

from newsletter.foundation.errors import InvalidError, NotFoundError
from newsletter.publication import checks
from newsletter.publication.models import Publication


@dataclass(frozen=True)
class Identity:
    """Whose mail it is, and how it looks. Fields are those of the one row; `checks` says what each must be."""

    name: str
    site_url: str
    postal_address: str = ""
    contact_address: str = ""
    privacy_url: str = ""
    digest_from: str = ""
    confirmation_from: str = ""
    list_domain: str = ""
    sender_id: str = ""
    language: str = "en"
    timezone: str = "UTC"
    accent_light: str = "#8a1c1c"
    accent_dark: str = "#f0a8a0"


_FIELDS = tuple(field.name for field in fields(Identity))
_FOR_EVER = ("list_domain", "sender_id")


def load(session: Session) -> Identity:
    """Return the publication. Raises NotFoundError before `newsletter init` has made it."""
    row = session.get(Publication, 1)
    if row is None:
        raise NotFoundError("There is no publication yet. Run `newsletter init` first.")
    return Identity(**{name: getattr(row, name) for name in _FIELDS})


def create(session: Session, identity: Identity, now: datetime.datetime) -> Identity:
    """Make the publication, once, and return it as stored.

    An empty `list_domain` is made from the digests' sender, an empty `sender_id` from the name. Raises InvalidError,
    or the same when there is one already.
    """
    if session.get(Publication, 1) is not None:
        raise InvalidError("There is a publication already.")
    values = _tidy(asdict(identity))
    values["list_domain"] = values["list_domain"] or checks.domain_of(values["digest_from"])
    values["sender_id"] = values["sender_id"] or checks.sender_id_for(values["name"])
    stored = Identity(**values)
    _refuse_mistakes(stored)
    session.add(Publication(id=1, updated_at=now, **values))
    session.flush()
    return stored


def update(session: Session, now: datetime.datetime, **changes: str) -> Identity:
    """Change the named fields and return the whole. Raises InvalidError naming every mistake, and NotFoundError.

    Readers' filters and providers know the list by `list_domain` (RFC 2919 section 2) and us by `sender_id`: once
    set they stay.
    """
    before = load(session)
    unknown = changes.keys() - set(_FIELDS)
    if unknown:
        raise InvalidError(f"A publication has no {', '.join(sorted(unknown))}.")
    for name in _FOR_EVER:
        if getattr(before, name) and changes.get(name, getattr(before, name)) != getattr(before, name):
            raise InvalidError(f"The {name.replace('_', ' ')} never changes: readers' filters and providers know it.")
    values = _tidy({**asdict(before), **changes})
    values["list_domain"] = values["list_domain"] or checks.domain_of(values["digest_from"])
    after = Identity(**values)
    _refuse_mistakes(after)
    row = session.get_one(Publication, 1)
    for name, value in values.items():
        setattr(row, name, value)
    row.updated_at = now
    session.flush()
    return after


def problems(identity: Identity) -> list[str]:
    """Return a sentence for each thing that keeps sending from starting (F11, F13, F14, J5, J14, L11, L13)."""
    return [
        *checks.missing(
            {
                "legal name and postal address": identity.postal_address,
                "contact address": identity.contact_address,
                "address of the privacy notice": identity.privacy_url,
                "digests' sender": identity.digest_from,
                "confirmations' sender": identity.confirmation_from,
                "list domain": identity.list_domain,
                "sender id": identity.sender_id,
            }
        ),
        *_mistakes(identity),
    ]


def _tidy(values: dict[str, str]) -> dict[str, str]:
    return {name: value.replace("\r\n", "\n").strip() for name, value in values.items()}


def _refuse_mistakes(identity: Identity) -> None:
    found = _mistakes(identity)
    if found:
        raise InvalidError("\n".join(found))


def _mistakes(identity: Identity) -> list[str]:
    """Judge what is filled in; what is empty only keeps sending from starting."""
    found = [
        checks.display_name(identity.name),
        checks.web_address("The site's address", identity.site_url),
        identity.privacy_url and checks.web_address("The privacy notice's address", identity.privacy_url),
        identity.contact_address and checks.mailbox("The contact address", identity.contact_address),
        identity.digest_from and checks.mailbox("The digests' sender", identity.digest_from),
        identity.confirmation_from and checks.mailbox("The confirmations' sender", identity.confirmation_from),
        checks.two_senders(identity.digest_from, identity.confirmation_from),
        identity.list_domain and checks.list_domain(identity.list_domain),
        identity.sender_id and checks.sender_id(identity.sender_id),
        checks.language(identity.language),
        checks.timezone(identity.timezone),
        checks.accent("The accent on light", identity.accent_light, checks.PAPER_LIGHT),
        checks.accent("The accent on dark", identity.accent_dark, checks.PAPER_DARK),
    ]
    return [sentence for sentence in found if sentence]
