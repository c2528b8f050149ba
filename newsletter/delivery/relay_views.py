"""Relays as operators see them: how each is doing in a sentence, and which mails none of them takes."""

import datetime
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from newsletter.delivery import relays
from newsletter.delivery.models import FROM_SETTINGS, Relay, RelayState
from newsletter.delivery.relay_terms import Terms, streams
from newsletter.delivery.relays import Health
from newsletter.delivery.routing import CONFIRMATIONS, closeness
from newsletter.foundation.errors import NotFoundError
from newsletter.publication import identity


@dataclass(frozen=True)
class RelayView:
    """A relay with all but its password."""

    id: int
    terms: Terms
    has_password: bool
    readable: bool
    """Whether the data keys open its password."""
    health: Health
    disabled_at: datetime.datetime | None
    paused_until: datetime.datetime | None
    held_at: datetime.datetime | None
    held_because: str
    last_error: str
    last_error_at: datetime.datetime | None
    last_accepted_at: datetime.datetime | None
    failures: int

    @property
    def from_settings(self) -> bool:
        """Whether it is the one of the settings, which only they change."""
        return self.id == FROM_SETTINGS

    @property
    def sentence(self) -> str:
        """How it is doing, for people."""
        if self.health is Health.DISABLED:
            return "Disabled by an operator: it is handed nothing."
        if not self.readable:
            return "Its password cannot be read: the key is missing from the data keys. Type the password again."
        if self.health is Health.HELD:
            return f"Held until an operator resumes it. {self.held_because or 'An operator wanted it so.'}"
        if self.health is Health.PAUSED:
            return f"It does not take our mail, and is tried again by itself. It said: “{self.last_error}”."
        if self.failures:
            return f"It is being tried again. It said: “{self.last_error}”."
        return "Ready." if self.last_accepted_at else "Ready; it has taken no mail yet."

    @property
    def in_trouble(self) -> bool:
        """Whether an operator should know of it without asking."""
        return self.health is not Health.DISABLED and (
            bool(self.failures) or self.health is Health.HELD or not self.readable
        )

    def as_row(self) -> dict[str, Any]:
        """Return it as plain values, for programs."""
        return {
            "id": self.id,
            **self.terms.as_row(),
            "has_password": self.has_password,
            "state": self.health,
            "sentence": self.sentence,
            "disabled_at": self.disabled_at,
            "paused_until": self.paused_until,
            "held_at": self.held_at,
            "last_error": self.last_error,
            "last_error_at": self.last_error_at,
            "last_accepted_at": self.last_accepted_at,
        }


def listed(session: Session, now: datetime.datetime) -> list[RelayView]:
    """Return all relays by name; the one of the settings alone, while there is no other."""
    return [_view(relay, state, now) for relay, state in relays.with_states(session)]


def one(session: Session, relay_id: int, now: datetime.datetime) -> RelayView:
    """Return one relay. Raises NotFoundError."""
    found = next((view for view in listed(session, now) if view.id == relay_id), None)
    if found is None:
        raise NotFoundError("There is no such relay.")
    return found


def in_trouble(session: Session, now: datetime.datetime) -> list[RelayView]:
    """Return the relays that do not take our mail."""
    return [view for view in listed(session, now) if view.in_trouble]


def uncovered(session: Session) -> list[str]:
    """Return a sentence for each kind of our mail that no relay takes, however well all of them are."""
    known = [relay for relay, _ in relays.with_states(session)]
    enabled = [relay for relay in known if relay is not None and relay.disabled_at is None]
    if known == [None]:
        return []
    if not enabled:
        return ["Every relay is disabled, so no mail leaves."]
    ours = identity.load(session)
    found = []
    for stream, name in streams(session).items():
        sender = ours.confirmation_from if stream == CONFIRMATIONS else ours.digest_from
        if all(closeness(relay, sender, stream) is None for relay in enabled):
            found.append(f"No relay takes “{name}” from {sender or 'a sender that is not set'}: such mails wait.")
    return found


def why_none(session: Session, sender: str, stream: str, now: datetime.datetime) -> str:
    """Say why no relay takes mail of `stream` from `sender` just now."""
    takers = [
        view for view in listed(session, now) if view.from_settings or closeness(view.terms, sender, stream) is not None
    ]
    if not takers:
        return f"No relay takes mail of “{stream}” from {sender}."
    return " ".join(f"{view.terms.name}: {view.sentence}" for view in takers)


def _view(relay: Relay | None, state: RelayState | None, now: datetime.datetime) -> RelayView:
    state = state or RelayState(id=FROM_SETTINGS, last_error="", held_because="", failures=0)
    return RelayView(
        id=relay.id if relay else FROM_SETTINGS,
        terms=Terms.of(relay) if relay else _terms_of_settings(),
        has_password=bool(relay.sealed_password if relay else relays.from_settings().password),
        readable=relay is None or relays.readable(relay) is not None,
        health=relays.health(relay, state, now),
        disabled_at=relay.disabled_at if relay else None,
        paused_until=state.paused_until,
        held_at=state.held_at,
        held_because=state.held_because,
        last_error=state.last_error,
        last_error_at=state.last_error_at,
        last_accepted_at=state.last_accepted_at,
        failures=state.failures,
    )


def _terms_of_settings() -> Terms:
    there = relays.from_settings()
    return Terms(
        name="the one of the settings",
        host=there.host,
        port=there.port,
        tls=there.tls,
        username=there.username,
        hello=there.hello,
        connections=there.connections,
    )
