"""Relays, what they last told us about ourselves, and the limits for them and for the providers behind them."""

import datetime
import enum
from typing import Final

from sqlalchemy import JSON, BigInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.foundation.db import Base, Word

FROM_SETTINGS: Final = 0
"""The id that stands for the one relay of the settings, used while operators have added none."""


class Tls(enum.StrEnum):
    """How a connection to a relay is secured."""

    IMPLICIT = "implicit"
    STARTTLS = "starttls"
    """Required."""
    OPPORTUNISTIC = "opportunistic"
    """When offered, without a look at the certificate: for a relay on the same machine or network."""


class Relay(Base):
    """An SMTP server that takes our messages, as operators added it."""

    __tablename__ = "relays"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(60), unique=True)
    host: Mapped[str] = mapped_column(String(255))
    port: Mapped[int]
    tls: Mapped[Tls] = mapped_column(Word(Tls))
    username: Mapped[str] = mapped_column(String(255), default="")
    sealed_password: Mapped[str] = mapped_column(Text, default="")
    """Encrypted under the data keys."""
    hello: Mapped[str] = mapped_column(String(255), default="")
    """Name for EHLO; empty: this host's."""
    weight: Mapped[int] = mapped_column(default=1)
    """Its share of the mail beside other relays; 0: only when those with a weight are away."""
    connections: Mapped[int] = mapped_column(default=5)
    """At most so many at a time, of all workers together."""
    per_second: Mapped[int | None]
    per_minute: Mapped[int | None]
    per_hour: Mapped[int | None]
    senders: Mapped[list[str]] = mapped_column(JSON, default=list)
    """Addresses or domains of From that it takes; empty: all."""
    streams: Mapped[list[str]] = mapped_column(JSON, default=list)
    """Slugs of cadences, or `confirmations`, that it takes; empty: all."""
    disabled_at: Mapped[datetime.datetime | None]
    created_at: Mapped[datetime.datetime]
    updated_at: Mapped[datetime.datetime]


class RelayState(Base):
    """What a relay last told us about ourselves: shown to operators, and a pause while it refuses us."""

    __tablename__ = "relay_states"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """The relay's, or FROM_SETTINGS."""
    paused_until: Mapped[datetime.datetime | None]
    """Then one connection tries again by itself."""
    held_at: Mapped[datetime.datetime | None]
    """Since when it has been held until an operator resumes it."""
    held_because: Mapped[str] = mapped_column(Text, default="")
    """Why it was held by itself, in words for operators; empty where an operator did it."""
    last_error: Mapped[str] = mapped_column(Text, default="")
    last_error_at: Mapped[datetime.datetime | None]
    last_accepted_at: Mapped[datetime.datetime | None]
    failures: Mapped[int] = mapped_column(default=0)
    """Without an accepted message between them."""
    refusals: Mapped[int] = mapped_column(default=0)
    """Of those, how many of the last, one after the other, refused us for good."""


class HostLimit(Base):
    """What operators allow towards one group of mail hosts (standards S4, S11), e.g. `google.com`."""

    __tablename__ = "host_limits"

    host_group: Mapped[str] = mapped_column(String(255), primary_key=True)
    connections: Mapped[int | None]
    per_second: Mapped[int | None]
    per_minute: Mapped[int | None]
    per_hour: Mapped[int | None]


class MailHost(Base):
    """Which group of mail hosts takes a domain's mail: looked up now and then, beside the sending."""

    __tablename__ = "mail_hosts"

    domain: Mapped[str] = mapped_column(String(255), primary_key=True)
    host_group: Mapped[str] = mapped_column(String(255))
    looked_up_at: Mapped[datetime.datetime]


class Slowdown(Base):
    """How far temporary errors have slowed a relay or a group of mail hosts down, for all workers."""

    __tablename__ = "slowdowns"

    key: Mapped[str] = mapped_column(String(300), primary_key=True)
    """`relay:<id>` or `hosts:<group>`."""
    share: Mapped[float] = mapped_column(default=1.0)
    """Of the speed and connections it would have."""
    pace: Mapped[float | None]
    """Messages a second that went there when it was slowed down: the whole of the share, where no limit is set."""
    stopped_until: Mapped[datetime.datetime | None]
    because: Mapped[str] = mapped_column(Text, default="")
    changed_at: Mapped[datetime.datetime]


class Meter(Base):
    """How much of a limit is used up, where there is no Redis or while it is away (GCRA)."""

    __tablename__ = "meters"

    key: Mapped[str] = mapped_column(String(300), primary_key=True)
    due_at: Mapped[int] = mapped_column(BigInteger)
    """Theoretical arrival time, in microseconds since the epoch."""
