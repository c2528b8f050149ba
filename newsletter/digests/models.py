"""Runs: what went out when, for which window of articles, and what was put into it."""

import datetime
import enum

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from newsletter.audience.models import Cadence
from newsletter.foundation.db import BIG_ID, Base, Word


class RunState(enum.StrEnum):
    """`planned → sending → sent`, or `skipped`, `cancelled`."""

    PLANNED = "planned"
    SENDING = "sending"
    SENT = "sent"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class SkipReason(enum.StrEnum):
    """Why a run sent nothing."""

    NOTHING_NEW = "nothing_new"
    TOO_LATE = "too_late"
    HELD = "held"


class Run(Base):
    """One cadence, one period, one wave: unique, so that doing it twice is harmless."""

    __tablename__ = "runs"
    __table_args__ = (
        UniqueConstraint("cadence_id", "period", "wave"),
        Index("ix_runs_recent", "created_at"),
        Index("ix_runs_state", "state"),
    )

    id: Mapped[int] = mapped_column(BIG_ID, primary_key=True)
    cadence_id: Mapped[int] = mapped_column(ForeignKey("cadences.id"))
    period: Mapped[str] = mapped_column(String(80))
    """The local date it is for, e.g. `2026-11-23`; of a manual run the form's idempotency key."""
    wave: Mapped[datetime.datetime]
    """The instant at which its zones reach the cadence's hour; of a manual run 1970-01-01, as it covers all waves."""
    triggered_by: Mapped[str] = mapped_column(String(120), default="")
    """The operator of a manual run; empty for a scheduled one."""
    state: Mapped[RunState] = mapped_column(Word(RunState))
    skip_reason: Mapped[SkipReason | None] = mapped_column(Word(SkipReason))
    after_number: Mapped[int] = mapped_column(BigInteger, default=0)
    cut_number: Mapped[int] = mapped_column(BigInteger, default=0)
    """Its half-open window of article numbers is `(after_number, cut_number]`, the widest of its zones'.

    The cut takes a number of its own from the articles' counter. So it also orders what readers did: whatever mark was
    set before the run lies below it, whatever is set after it does not (see selection.py).
    """
    last_subscription_id: Mapped[int] = mapped_column(BigInteger, default=0)
    """The last subscription there was when it was planned: later ones have no part in it."""
    readers: Mapped[int] = mapped_column(default=0)
    articles: Mapped[int] = mapped_column(default=0)
    subject: Mapped[str] = mapped_column(Text, default="")
    """What operators see of it. Unless it is fixed, a reader's own subject is the headline that leads their digest."""
    created_at: Mapped[datetime.datetime]
    finished_at: Mapped[datetime.datetime | None]

    cadence: Mapped[Cadence] = relationship(lazy="joined")

    @property
    def manual(self) -> bool:
        """Whether an operator triggered it."""
        return bool(self.triggered_by)


class RunZone(Base):
    """The time zones a run covers, and how far their readers had read before it."""

    __tablename__ = "run_zones"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    timezone: Mapped[str] = mapped_column(String(64), primary_key=True)
    after_number: Mapped[int] = mapped_column(BigInteger)


class RunArticle(Base):
    """An article that a run may put into a category's section: the content, frozen when the run was cut."""

    __tablename__ = "run_articles"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    category_id: Mapped[int] = mapped_column(ForeignKey("categories.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    article_id: Mapped[int] = mapped_column(ForeignKey("articles.id", ondelete="CASCADE"))


class RunMark(Base):
    """A reader's own mark as it was before the run (only of those who had one), so that a message can be made again."""

    __tablename__ = "run_marks"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    subscription_id: Mapped[int] = mapped_column(
        ForeignKey("subscriptions.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    mark: Mapped[int] = mapped_column(BigInteger)


class RunExclusion(Base):
    """An article that a reader of the run has had already, through another category at another cadence."""

    __tablename__ = "run_exclusions"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(
        ForeignKey("subscribers.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True)


class LeftOut(Base):
    """An article that one cadence's digests do not carry."""

    __tablename__ = "left_out"

    cadence_id: Mapped[int] = mapped_column(ForeignKey("cadences.id", ondelete="CASCADE"), primary_key=True)
    article_id: Mapped[int] = mapped_column(ForeignKey("articles.id", ondelete="CASCADE"), primary_key=True)
    created_at: Mapped[datetime.datetime]


class Hold(Base):
    """An operator's order that a period's digest waits; released in time it goes out, else it is skipped."""

    __tablename__ = "holds"

    cadence_id: Mapped[int] = mapped_column(ForeignKey("cadences.id", ondelete="CASCADE"), primary_key=True)
    period: Mapped[str] = mapped_column(String(80), primary_key=True)
    created_at: Mapped[datetime.datetime]
    created_by: Mapped[str] = mapped_column(String(120))
