"""Subscribers, what they agreed to, what they asked for at which pace, and who must never be mailed."""

import datetime
import enum
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from newsletter.foundation.db import BIG_ID, Base, Word, only


class SubscriptionState(enum.StrEnum):
    """`pending → active → ended`; coming back makes a new row."""

    PENDING = "pending"
    ACTIVE = "active"
    ENDED = "ended"


class EndedReason(enum.StrEnum):
    """Why a subscription ended."""

    LEFT = "left"
    """One click, or the button of the page behind the visible link."""
    CHANGED = "changed"
    """On the preferences page: this category dropped, or moved to another cadence."""
    NOT_ME = "not_me"
    OPERATOR = "operator"


class SignupOutcome(enum.StrEnum):
    """What the worker made of a sign-up request. The visitor is shown the same page whatever it is."""

    CONFIRMATION = "confirmation"
    ALREADY = "already"
    """Subscribed to all of it: at most one mail a day says so (standards D4)."""
    CAPPED = "capped"
    SUPPRESSED = "suppressed"


class ConsentAct(enum.StrEnum):
    """What the record says: words were agreed to, the address behind it proved, or the consent taken back."""

    GIVEN = "given"
    CONFIRMED = "confirmed"
    WITHDRAWN = "withdrawn"


class ConfirmationKind(enum.StrEnum):
    """Which of the two mails a confirmation row is for."""

    CONFIRM = "confirm"
    ALREADY = "already"


class SuppressionReason(enum.StrEnum):
    """Why an address or domain is never mailed."""

    NOT_ME = "not_me"
    OPERATOR = "operator"
    BOUNCE = "bounce"
    COMPLAINT = "complaint"


class ChangeKind(enum.StrEnum):
    """What a reader did."""

    LEFT = "left"
    LEFT_ALL = "left_all"
    CHOSE = "chose"
    PAUSED = "paused"


class Cadence(Base):
    """A pace with its hour, in the reader's own time zone, and how its digests look."""

    __tablename__ = "cadences"

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(60), unique=True)
    """Stable for ever: List-Id and one-click unsubscribe name the list by it."""
    name: Mapped[str] = mapped_column(String(120))
    weekdays: Mapped[str] = mapped_column(String(7), default="1234567")
    """ISO weekdays it goes out on: `1234567` daily, `1` on Mondays."""
    hour: Mapped[int]
    minute: Mapped[int] = mapped_column(default=0)
    position: Mapped[int] = mapped_column(default=0)
    max_per_category: Mapped[int] = mapped_column(default=10)
    subject_text: Mapped[str] = mapped_column(String(200), default="")
    """Empty: the lead's headline is the subject. Else this text, and the date."""
    utm: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    """utm_source, utm_medium, utm_campaign, added to links to articles."""
    copies: Mapped[list[str]] = mapped_column(JSON, default=list)
    """Addresses of colleagues who always get a copy."""
    max_lateness_minutes: Mapped[int] = mapped_column(default=360)
    """A digest that is later than this is skipped; its articles wait for the next."""
    alarm_minutes: Mapped[int] = mapped_column(default=30)
    """A digest that is not out so long after its hour raises an alarm."""
    archived_at: Mapped[datetime.datetime | None]

    @property
    def daily(self) -> bool:
        """Whether it goes out on every day of the week."""
        return len(self.weekdays) == 7


class Cut(Base):
    """How far the digests of a cadence have read for a time zone: the number of the last article they covered.

    A reader has read as far as the cut of their zone, unless their subscription carries a mark of its own.
    A run updates these rows before anything else; whoever changes a reader's zone, cadence, categories or pause locks
    the reader's row of it (see audience/marks.py), so that no change can fall between a run's window and its audience.
    """

    __tablename__ = "cuts"

    cadence_id: Mapped[int] = mapped_column(ForeignKey("cadences.id", ondelete="CASCADE"), primary_key=True)
    timezone: Mapped[str] = mapped_column(String(64), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, default=0)
    period: Mapped[str] = mapped_column(String(32), default="")
    """The last scheduled period that was covered or skipped; a cadence whose hour changes cannot come twice in it."""
    since: Mapped[datetime.datetime]
    """When the first reader of this zone came; nothing is due for it before."""


class SignupRequest(Base):
    """One submitted form, as it came. A worker decides what becomes of it."""

    __tablename__ = "signup_requests"

    id: Mapped[int] = mapped_column(BIG_ID, primary_key=True)
    created_at: Mapped[datetime.datetime]
    address: Mapped[str] = mapped_column(String(254))
    name: Mapped[str] = mapped_column(String(120), default="")
    category_ids: Mapped[list[int]] = mapped_column(JSON)
    cadence_id: Mapped[int] = mapped_column(ForeignKey("cadences.id"))
    language: Mapped[str] = mapped_column(String(8))
    timezone: Mapped[str] = mapped_column(String(64))
    consent_text_ids: Mapped[list[int]] = mapped_column(JSON)
    """The texts that were agreed to: the publication's, and those of the affiliates that were ticked."""
    form: Mapped[str] = mapped_column(String(60))
    page: Mapped[str] = mapped_column(Text, default="")
    """The page that carried the form."""
    ip: Mapped[str] = mapped_column(String(45), default="")
    """Truncated (/24, /48), and only where the settings say that it is kept."""
    user_agent: Mapped[str] = mapped_column(String(300), default="")
    processed_at: Mapped[datetime.datetime | None]
    outcome: Mapped[SignupOutcome | None] = mapped_column(Word(SignupOutcome))

    __table_args__ = (Index("ix_signup_requests_waiting", "id", **only("processed_at IS NULL")),)


class Subscriber(Base):
    """One e-mail address that has asked for mail here."""

    __tablename__ = "subscribers"

    id: Mapped[int] = mapped_column(BIG_ID, primary_key=True)
    address: Mapped[str] = mapped_column(String(254))
    """As typed, with the domain in lower case (standards D9)."""
    # Compared byte by byte, so that a search by its beginning can walk the index.
    folded: Mapped[str] = mapped_column(String(254).with_variant(String(254, collation="C"), "postgresql"), unique=True)
    """The address case-folded: one subscriber each."""
    address_hash: Mapped[str] = mapped_column(String(32), index=True)
    """Keyed hash of `folded`, as on the suppression list."""
    domain_hash: Mapped[str] = mapped_column(String(32))
    name: Mapped[str] = mapped_column(String(120), default="")
    language: Mapped[str] = mapped_column(String(8))
    timezone: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime.datetime]
    confirmed_at: Mapped[datetime.datetime | None]
    paused_at: Mapped[datetime.datetime | None]
    paused_until: Mapped[datetime.datetime | None]
    """None while paused: until they resume themselves."""
    refused_at: Mapped[datetime.datetime | None]
    """When a reader said of a sign-up "this wasn't me": their digests go on, but no mail asks them to confirm again."""
    generated: Mapped[bool] = mapped_column(default=False)
    """Made by `newsletter seed`, for trying out and for benchmarks; never a person."""

    # The database deletes a reader's subscriptions with them.
    subscriptions: Mapped[list["Subscription"]] = relationship(
        lazy="raise", back_populates="subscriber", passive_deletes="all"
    )

    __table_args__ = (
        Index("ix_subscribers_unconfirmed", "created_at", **only("confirmed_at IS NULL")),
        Index("ix_subscribers_paused", "paused_until", **only("paused_until IS NOT NULL")),
    )


class Change(Base):
    """One thing that a reader did to what they get, so that exactly this can be taken back for some days."""

    __tablename__ = "changes"

    id: Mapped[int] = mapped_column(BIG_ID, primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscribers.id", ondelete="CASCADE"), index=True)
    kind: Mapped[ChangeKind] = mapped_column(Word(ChangeKind))
    cadence_id: Mapped[int | None] = mapped_column(ForeignKey("cadences.id", ondelete="CASCADE"))
    """The list that was left."""
    created_at: Mapped[datetime.datetime]
    undone_at: Mapped[datetime.datetime | None]


class Subscription(Base):
    """One subscriber's choice of one category at one cadence."""

    __tablename__ = "subscriptions"

    id: Mapped[int] = mapped_column(BIG_ID, primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscribers.id", ondelete="CASCADE"))
    category_id: Mapped[int] = mapped_column(ForeignKey("categories.id", ondelete="CASCADE"))
    cadence_id: Mapped[int] = mapped_column(ForeignKey("cadences.id", ondelete="CASCADE"))
    state: Mapped[SubscriptionState] = mapped_column(Word(SubscriptionState))
    created_at: Mapped[datetime.datetime]
    activated_at: Mapped[datetime.datetime | None]
    ended_at: Mapped[datetime.datetime | None]
    ended_reason: Mapped[EndedReason | None] = mapped_column(Word(EndedReason))
    first_number: Mapped[int] = mapped_column(BigInteger, default=0)
    """Articles up to this one were never meant for it; set when it becomes active."""
    mark: Mapped[int | None] = mapped_column(BigInteger)
    """Read up to this article. None: as far as the cut of the reader's zone at this cadence. Always set once ended."""
    # Ids of changes, without a constraint: its upkeep would search this table for every change that is deleted.
    begun_by: Mapped[int | None] = mapped_column(BigInteger)
    ended_by: Mapped[int | None] = mapped_column(BigInteger)

    subscriber: Mapped[Subscriber] = relationship(lazy="raise", back_populates="subscriptions")

    __table_args__ = (
        # One choice per category at a time; what ended stays as history.
        Index(
            "uq_subscriptions_current",
            "subscriber_id",
            "category_id",
            unique=True,
            **only("state <> 'ended'"),
        ),
        Index("ix_subscriptions_reading", "cadence_id", "category_id", "subscriber_id"),
        Index("ix_subscriptions_subscriber", "subscriber_id"),
        Index("ix_subscriptions_marked", "cadence_id", **only("mark IS NOT NULL")),
    )


class ConsentText(Base):
    """Words that were shown, exactly; a changed text is a new row."""

    __tablename__ = "consent_texts"
    __table_args__ = (UniqueConstraint("purpose", "language", "sha256"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    purpose: Mapped[str] = mapped_column(String(80))
    """`newsletter`, or `affiliate:<slug>`."""
    language: Mapped[str] = mapped_column(String(8))
    version: Mapped[int]
    text: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime.datetime]


class Consent(Base):
    """Append-only: who agreed to which words, for what, when, where, and how it was confirmed.

    A trigger in the database forbids updates.
    """

    __tablename__ = "consents"

    id: Mapped[int] = mapped_column(BIG_ID, primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscribers.id", ondelete="CASCADE"), index=True)
    purpose: Mapped[str] = mapped_column(String(80))
    act: Mapped[ConsentAct] = mapped_column(Word(ConsentAct))
    text_id: Mapped[int] = mapped_column(ForeignKey("consent_texts.id"))
    at: Mapped[datetime.datetime]
    form: Mapped[str] = mapped_column(String(60), default="")
    page: Mapped[str] = mapped_column(Text, default="")
    ip: Mapped[str] = mapped_column(String(45), default="")
    user_agent: Mapped[str] = mapped_column(String(300), default="")
    confirmation_id: Mapped[int | None] = mapped_column(BigInteger)
    """The mail that asked for proof (`given`), or whose button was pressed (`confirmed`)."""


class Confirmation(Base):
    """One request for proof that an address is its owner's: one mail, one button."""

    __tablename__ = "confirmations"
    __table_args__ = (Index("ix_confirmations_unplanned", "id", **only("planned_at IS NULL")),)

    id: Mapped[int] = mapped_column(BIG_ID, primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscribers.id", ondelete="CASCADE"), index=True)
    kind: Mapped[ConfirmationKind] = mapped_column(Word(ConfirmationKind))
    created_at: Mapped[datetime.datetime]
    expires_at: Mapped[datetime.datetime]
    wanted: Mapped[dict[str, Any]] = mapped_column(JSON)
    """What the button makes active: category_ids, cadence_id, name, timezone, language, consent_text_ids."""
    form: Mapped[str] = mapped_column(String(60), default="")
    page: Mapped[str] = mapped_column(Text, default="")
    ip: Mapped[str] = mapped_column(String(45), default="")
    user_agent: Mapped[str] = mapped_column(String(300), default="")
    confirmed_at: Mapped[datetime.datetime | None]
    planned_at: Mapped[datetime.datetime | None]
    """When its mail was put into a mailing; none yet: it waits for one."""
    refused_at: Mapped[datetime.datetime | None]
    """"This wasn't me" was pressed."""


class MailCap(Base):
    """One confirmation mail that was sent to an address, known only by a keyed hash; outlives the sign-up."""

    __tablename__ = "mail_caps"
    __table_args__ = (Index("ix_mail_caps_key", "key_hash", "sent_at"),)

    id: Mapped[int] = mapped_column(BIG_ID, primary_key=True)
    key_hash: Mapped[str] = mapped_column(String(32))
    kind: Mapped[ConfirmationKind] = mapped_column(Word(ConfirmationKind))
    sent_at: Mapped[datetime.datetime] = mapped_column(index=True)


class Suppression(Base):
    """A standing order never to mail an address or a domain; outlives the subscriber."""

    __tablename__ = "suppressions"

    hash: Mapped[str] = mapped_column(String(32), primary_key=True)
    """Keyed hash of a case-folded address, or of a domain."""
    reason: Mapped[SuppressionReason] = mapped_column(Word(SuppressionReason))
    created_at: Mapped[datetime.datetime]
