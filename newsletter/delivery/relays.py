"""The relays: what operators do to the table of them, and which of them take a mail now.

While the table is empty there is one relay, that of the settings. A password goes in and is never shown again: it is
opened only to be sent to the very server that it was given for.
"""

import datetime
import enum
import logging
import random
from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from newsletter.delivery import watching
from newsletter.delivery.endpoints import Endpoint, own_name
from newsletter.delivery.models import FROM_SETTINGS, Relay, RelayState, Slowdown
from newsletter.delivery.relay_terms import Terms, bad_password, problems
from newsletter.delivery.routing import closeness, in_order
from newsletter.foundation.errors import ConflictError, InvalidError, NotFoundError
from newsletter.foundation.secrets import Vault
from newsletter.foundation.services import services

log = logging.getLogger(__name__)


class Health(enum.StrEnum):
    """How a relay is doing."""

    READY = "ready"
    PAUSED = "paused"
    """It has a problem with us; we try again by ourselves."""
    HELD = "held"
    """Until an operator resumes it."""
    DISABLED = "disabled"


def add(session: Session, terms: Terms, password: str, vault: Vault, now: datetime.datetime) -> Relay:
    """Add a relay; it is used from the next chunk on. Raises InvalidError naming every mistake."""
    _refuse(mistakes(session, None, terms, password))
    relay = Relay(
        sealed_password=vault.seal(password) if password else "",
        created_at=now,
        updated_at=now,
        **terms.tidied().as_row(),
    )
    session.add(relay)
    session.flush()
    watching.ask_again(session)
    return relay


def edit(session: Session, relay_id: int, terms: Terms, password: str, vault: Vault, now: datetime.datetime) -> Relay:
    """Change a relay; an empty `password` keeps the one it has.

    Where mail would go to another server, port or user than before, or with other TLS, the password must be given
    again: who may edit a relay need not be able to read its password. Raises InvalidError and NotFoundError.
    """
    relay = get(session, relay_id)
    _refuse(mistakes(session, relay, terms, password))
    for name, value in terms.tidied().as_row().items():
        setattr(relay, name, value)
    if password:
        relay.sealed_password = vault.seal(password)
    elif not relay.username:
        relay.sealed_password = ""
    relay.updated_at = now
    session.flush()
    watching.ask_again(session)
    return relay


def mistakes(session: Session, relay: Relay | None, terms: Terms, password: str) -> dict[str, str]:
    """Return field and sentence for each mistake in what is to become of `relay` (None: a new one)."""
    terms, had = terms.tidied(), relay is not None and bool(relay.sealed_password)
    found = problems(session, terms, relay_id=relay.id if relay else None)
    if wrong := bad_password(password):
        found["password"] = wrong
    elif password and not terms.username:
        found["username"] = "Type the user name that belongs to the password."
    elif terms.username and not password and not (had and relay and _recipient(terms) == _recipient(Terms.of(relay))):
        found["password"] = (
            "Type the password again: it is given only to the server, port and user that it was typed for."
            if had
            else "Type the password that belongs to the user name."
        )
    return found


def disable(session: Session, relay_id: int, now: datetime.datetime) -> None:
    """Use it no more until it is enabled; mails on the wire finish. Raises NotFoundError."""
    relay = get(session, relay_id)
    relay.disabled_at, relay.updated_at = relay.disabled_at or now, now


def enable(session: Session, relay_id: int, now: datetime.datetime) -> None:
    """Use it again. Raises NotFoundError."""
    relay = get(session, relay_id)
    relay.disabled_at, relay.updated_at = None, now
    watching.ask_again(session)


def remove(session: Session, relay_id: int) -> None:
    """Forget a relay that never took a mail. Raises ConflictError for one that did, and NotFoundError."""
    relay = get(session, relay_id)
    state = session.get(RelayState, relay_id, populate_existing=True)
    if state is not None and state.last_accepted_at is not None:
        raise ConflictError(f"{relay.name} has taken mails, and their records name it. Disable it instead.")
    session.execute(delete(RelayState).where(RelayState.id == relay_id))
    session.execute(delete(Slowdown).where(Slowdown.key == f"relay:{relay_id}"))
    session.delete(relay)
    session.flush()


def get(session: Session, relay_id: int) -> Relay:
    """Return one. Raises NotFoundError."""
    relay = session.get(Relay, relay_id)
    if relay is None:
        raise NotFoundError("There is no such relay.")
    return relay


def named(session: Session, name: str) -> Relay:
    """Return the relay of this name. Raises NotFoundError."""
    relay = session.scalar(select(Relay).where(Relay.name == name))
    if relay is None:
        raise NotFoundError(f"There is no relay called {name}.")
    return relay


def with_states(session: Session) -> list[tuple[Relay | None, RelayState | None]]:
    """Return all relays by name, each with its state; None stands for the one of the settings, alone."""
    query = select(Relay, RelayState).outerjoin(RelayState, RelayState.id == Relay.id).order_by(Relay.name, Relay.id)
    rows = session.execute(query.execution_options(populate_existing=True))  # other processes write the states
    found: list[tuple[Relay | None, RelayState | None]] = [(relay, state) for relay, state in rows]
    return found or [(None, session.get(RelayState, FROM_SETTINGS, populate_existing=True))]


def health(relay: Relay | None, state: RelayState | None, now: datetime.datetime) -> Health:
    """Return how a relay is doing."""
    if relay is not None and relay.disabled_at is not None:
        return Health.DISABLED
    if state is not None and state.held_at is not None:
        return Health.HELD
    paused = state is not None and state.paused_until is not None and state.paused_until > now
    return Health.PAUSED if paused else Health.READY


def usable(session: Session, sender: str, stream: str, now: datetime.datetime) -> list[Endpoint]:
    """Return the relays that take mail of `stream` (a cadence's slug or CONFIRMATIONS) from `sender` now.

    The first is the one to use for this chunk, drawn anew at each call by the weights; the others are there to fall
    over to. Empty when all that would take it are paused, held or disabled: see `ready_at`.
    """
    ready = [relay for relay, state in with_states(session) if health(relay, state, now) is Health.READY]
    if ready == [None]:
        return [from_settings()]
    relays = in_order((relay for relay in ready if relay is not None), sender, stream, random.random)
    return [endpoint for relay in relays if (endpoint := readable(relay)) is not None]


def ready_at(session: Session, sender: str, stream: str, now: datetime.datetime) -> datetime.datetime | None:
    """Return when a relay that takes such mail tries again by itself; None when only an operator can help."""
    times = []
    for relay, state in with_states(session):
        if relay is not None and (closeness(relay, sender, stream) is None or readable(relay) is None):
            continue
        doing = health(relay, state, now)
        if doing is Health.READY:
            times.append(now)
        elif doing is Health.PAUSED and state is not None and state.paused_until is not None:
            times.append(state.paused_until)
    return min(times, default=None)


def endpoint(session: Session, relay_id: int) -> Endpoint:
    """Return where a relay is, whatever its state. Raises NotFoundError, InvalidError if its password is unreadable."""
    return from_settings() if relay_id == FROM_SETTINGS else _open(get(session, relay_id))


def from_settings() -> Endpoint:
    """Return where the relay of the settings is."""
    settings = services().settings
    return Endpoint.from_url(settings.smtp_url.get_secret_value(), settings.smtp_connections)


def readable(relay: Relay) -> Endpoint | None:
    """Return where a relay is, None when no data key opens its password: the other relays go on."""
    try:
        return _open(relay)
    except InvalidError as error:
        log.warning("relay not usable", extra={"relay": relay.id, "reason": str(error)})
        return None


def _open(relay: Relay) -> Endpoint:
    return Endpoint(
        host=relay.host,
        port=relay.port,
        tls=relay.tls,
        username=relay.username,
        password=services().vault.open(relay.sealed_password) if relay.sealed_password else "",
        hello=relay.hello or own_name(),
        id=relay.id,
        name=relay.name,
        connections=relay.connections,
        weight=relay.weight,
    )


def _recipient(terms: Terms) -> Sequence[object]:
    """Return who is given the password, and how safely."""
    return terms.host, terms.port, terms.tls, terms.username


def _refuse(found: dict[str, str]) -> None:
    if found:
        raise InvalidError(" ".join(found.values()))
