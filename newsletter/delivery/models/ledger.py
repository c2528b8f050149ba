"""The ledger: mailings, their deliveries, and the chunks in which workers lease them."""

import datetime
import enum
from typing import Final

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.delivery.replies import Failure
from newsletter.foundation.db import BIG_ID, Base, Word, only

CHUNKS: Final = 2**20
"""Chunks a mailing may have; their ids are counted from its own."""


class MailingKind(enum.StrEnum):
    """What a mailing was made from."""

    RUN = "run"
    CONFIRMATIONS = "confirmations"


class MailingState(enum.StrEnum):
    """Whether its deliveries may be sent."""

    SENDING = "sending"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    FINISHED = "finished"
    """Every delivery is settled; `unknown` ones wait for an operator and do not hold it up."""


class DeliveryState(enum.StrEnum):
    """`planned → sending → accepted`, or `deferred`, `failed`, `skipped`, `unknown`."""

    PLANNED = "planned"
    SENDING = "sending"
    """A durable commit says: may have been handed over."""
    ACCEPTED = "accepted"
    """The relay said 250."""
    DEFERRED = "deferred"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"
    """The dot was handed to the transport and its reply never read."""


class Reason(enum.StrEnum):
    """Why a delivery was skipped or failed."""

    LEFT = "left"
    PAUSED = "paused"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    NOTHING_NEW = "nothing_new"
    REFUSED = "refused"
    """The relay refused it for good; `failure` says what about."""
    GAVE_UP = "gave_up"
    """Temporary errors until its time was over."""
    UNSENDABLE = "unsendable"
    """No message could be made of it, or the relay lacks what its address needs."""


class ChunkState(enum.StrEnum):
    """Who may work on it."""

    READY = "ready"
    LEASED = "leased"
    DONE = "done"


class Mailing(Base):
    """What goes to one frozen audience. Its counters move in the transactions that move the deliveries."""

    __tablename__ = "mailings"
    __table_args__ = (Index("ix_mailings_state", "state"),)

    id: Mapped[int] = mapped_column(BIG_ID, primary_key=True)
    kind: Mapped[MailingKind] = mapped_column(Word(MailingKind))
    run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id"), unique=True)
    state: Mapped[MailingState] = mapped_column(Word(MailingState))
    stamp: Mapped[str] = mapped_column(String(16))
    """Random; with a delivery's id it makes the Message-ID, the same at every attempt."""
    created_at: Mapped[datetime.datetime]
    give_up_at: Mapped[datetime.datetime]
    """Temporary errors are not retried past this."""
    started_at: Mapped[datetime.datetime | None]
    finished_at: Mapped[datetime.datetime | None]
    not_before: Mapped[datetime.datetime | None]
    """A limit lets nothing of it leave earlier."""
    per_hour: Mapped[int | None]
    """The speed that an operator gave it."""
    paused_because: Mapped[str] = mapped_column(Text, default="")
    """Why it was paused by itself, in words for operators; empty where an operator did it."""
    rendered_in_full: Mapped[int] = mapped_column(default=0)
    """Messages whose template is rendered anew for each reader."""
    planned: Mapped[int] = mapped_column(default=0)
    sending: Mapped[int] = mapped_column(default=0)
    accepted: Mapped[int] = mapped_column(default=0)
    deferred: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    skipped: Mapped[int] = mapped_column(default=0)
    unknown: Mapped[int] = mapped_column(default=0)

    @property
    def counts(self) -> dict[str, int]:
        """State to number of deliveries; they always add up to all of them."""
        return {state.value: getattr(self, state.value) for state in DeliveryState}


class Chunk(Base):
    """About a thousand deliveries, leased to one worker at a time; `fence` tells a stale owner from the current one."""

    __tablename__ = "chunks"

    id: Mapped[int] = mapped_column(BIG_ID, primary_key=True, autoincrement=False)
    """The mailing's id times CHUNKS, plus its number in the mailing."""
    mailing_id: Mapped[int] = mapped_column(ForeignKey("mailings.id", ondelete="CASCADE"), index=True)
    bulk: Mapped[bool]
    """False: confirmations, which overtake."""
    state: Mapped[ChunkState] = mapped_column(Word(ChunkState))
    not_before: Mapped[datetime.datetime]
    leased_until: Mapped[datetime.datetime | None]
    owner: Mapped[str] = mapped_column(String(80), default="")
    fence: Mapped[int] = mapped_column(default=0)

    __table_args__ = (
        Index(
            "ix_chunks_open",
            "state",
            "bulk",
            "not_before",
            **only("state <> 'done'"),
        ),
    )


class Delivery(Base):
    """The record of one mail to one subscriber (or to a colleague who gets a copy)."""

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("mailing_id", "subscriber_id"),
        Index("ix_deliveries_chunk", "chunk_id", "id"),
        Index("ix_deliveries_confirmation", "confirmation_id", **only("confirmation_id IS NOT NULL")),
        # On what is told of few deliveries only: an index on `state`, even as a condition, would make PostgreSQL write
        # to every index each time that a row moves on (no HOT updates).
        Index("ix_deliveries_unknown_at", "mailing_id", **only("unknown_at IS NOT NULL")),
        Index("ix_deliveries_retry_at", "retry_at", **only("retry_at IS NOT NULL")),
        {"postgresql_with": {"fillfactor": 50}},  # room for a row to move on within its page
    )

    id: Mapped[int] = mapped_column(BIG_ID, primary_key=True)
    # Ids, without constraints: to look each of them up took most of the time in which a million deliveries is planned,
    # and planning would fail if one reader were erased meanwhile. No id is used twice, so whoever is gone is not found.
    mailing_id: Mapped[int] = mapped_column(BIG_ID)
    chunk_id: Mapped[int] = mapped_column(BigInteger)
    subscriber_id: Mapped[int | None] = mapped_column(BIG_ID)
    confirmation_id: Mapped[int | None] = mapped_column(BIG_ID)
    after_number: Mapped[int] = mapped_column(BigInteger, default=0)
    """How far the reader's zone had read before the run, frozen: they may move while the mail waits."""
    copy_address: Mapped[str | None] = mapped_column(String(254))
    state: Mapped[DeliveryState] = mapped_column(Word(DeliveryState), default=DeliveryState.PLANNED)
    reason: Mapped[Reason | None] = mapped_column(Word(Reason))
    attempts: Mapped[int] = mapped_column(default=0)
    offered_at: Mapped[datetime.datetime | None]
    """When it was first handed to a relay: the message's Date."""
    settled_at: Mapped[datetime.datetime | None]
    """When its fate was decided; of an unknown one, when an operator left it at that."""
    unknown_at: Mapped[datetime.datetime | None]
    """Since when it has been unknown and waits for evidence or an operator."""
    retry_at: Mapped[datetime.datetime | None]
    """When a deferred one is tried again."""
    failure: Mapped[Failure | None] = mapped_column(Word(Failure))
    """What the last refusal was about."""
    relay_id: Mapped[int | None]
    """The relay that answered; 0 is the one of the settings."""
    reply_code: Mapped[int | None]
    reply_text: Mapped[str | None] = mapped_column(Text)
    """The relay's words, shortened, with addresses masked."""


class Worker(Base):
    """A worker process that showed itself; tells whether anybody is at work."""

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(String(120), primary_key=True)
    """host:pid:random, also the owner of its leases."""
    host: Mapped[str] = mapped_column(String(80))
    started_at: Mapped[datetime.datetime]
    seen_at: Mapped[datetime.datetime] = mapped_column(index=True)
