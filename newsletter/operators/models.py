"""Operators' accounts, their sessions, and the counters that slow down guessing."""

import datetime

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from newsletter.foundation.db import Base


class Operator(Base):
    """A person who signs in to run this."""

    __tablename__ = "operators"

    id: Mapped[int] = mapped_column(primary_key=True)
    login: Mapped[str] = mapped_column(String(120), unique=True)
    password_hash: Mapped[str] = mapped_column(String(200))
    """argon2id."""
    created_at: Mapped[datetime.datetime]
    disabled_at: Mapped[datetime.datetime | None]


class OperatorSession(Base):
    """A signed-in browser. Only the hash of what the cookie holds is stored; deleting the row signs it out."""

    __tablename__ = "operator_sessions"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    operator_id: Mapped[int] = mapped_column(ForeignKey("operators.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime.datetime]
    seen_at: Mapped[datetime.datetime] = mapped_column(index=True)
    user_agent: Mapped[str] = mapped_column(String(300), default="")

    operator: Mapped[Operator] = relationship(lazy="joined")


class SigninThrottle(Base):
    """Wrong passwords in a row from one network, or for one login; too many make the next one wait."""

    __tablename__ = "signin_throttles"

    key_hash: Mapped[str] = mapped_column(String(32), primary_key=True)
    """Keyed hash of the login or the network."""
    failures: Mapped[int] = mapped_column(default=0)
    closed_until: Mapped[datetime.datetime]
    last_at: Mapped[datetime.datetime] = mapped_column(index=True)


class Alarm(Base):
    """Something an operator must know of, once: raised by a rule, ended when it is over or seen."""

    __tablename__ = "alarms"
    __table_args__ = (UniqueConstraint("key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(120))
    """What it is about, e.g. `late:daily:2026-11-23`, so that it is raised once."""
    text: Mapped[str] = mapped_column(Text)
    raised_at: Mapped[datetime.datetime]
    ended_at: Mapped[datetime.datetime | None]
