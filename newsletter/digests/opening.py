"""Opening and closing a run: one transaction in which nobody's reading position can move but by it.

The order of locks, the same for everyone: the run's own key, the cuts of its zones (by zone), the articles' counter.
Under the counter's lock runs follow one another, so that what another cadence sent is known here (exclusions.py).
"""

import datetime
from collections.abc import Sequence
from typing import Final

from sqlalchemy import func, insert, literal, select, update
from sqlalchemy.orm import Session

from newsletter.audience.models import Cadence, Cut, Subscriber, Subscription
from newsletter.content.models import Article
from newsletter.content.numbers import take_numbers
from newsletter.digests import finishing, window
from newsletter.digests.due import DueWave
from newsletter.digests.exclusions import exclusions
from newsletter.digests.models import Run, RunArticle, RunExclusion, RunMark, RunState, RunZone, SkipReason
from newsletter.digests.selection import Selector
from newsletter.foundation.db import analyse, insert_new, lock_rows

ALL_WAVES: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
"""The wave of a manual run."""


def open_run(
    session: Session,
    cadence: Cadence,
    period: str,
    wave: datetime.datetime,
    zones: Sequence[str],
    now: datetime.datetime,
    triggered_by: str = "",
) -> Run | None:
    """Open the run of these zones and freeze what it reads; None when somebody else has opened it, or all of it.

    A manual run (`triggered_by` an operator, `period` the form's key, `wave` ALL_WAVES) covers all zones of the cadence
    whatever `zones` says. The caller plans the deliveries from `readers.readers_of(run)` and calls `close`, all in the
    same transaction.
    """
    run = _claim(session, cadence, period, wave, now, triggered_by)
    cuts = _lock_cuts(session, cadence.id, None if triggered_by else zones)
    if not triggered_by:
        cuts = [cut for cut in cuts if cut.period < period]
    if run is None:
        # A zone that was not there yet when its wave was opened waits for the next period.
        _move_period(session, cadence.id, [cut.timezone for cut in cuts], period)
        return None
    if not cuts and not triggered_by:
        session.delete(run)
        session.flush()
        return None
    run.cut_number = take_numbers(session, 1)[0]
    run.after_number = min((cut.number for cut in cuts), default=run.cut_number)
    run.last_subscription_id = session.scalar(select(func.max(Subscription.id))) or 0
    _freeze(session, run, cuts)
    run.articles = session.scalars(
        select(func.count(RunArticle.number.distinct())).where(RunArticle.run_id == run.id)
    ).one()
    run.subject = _subject(session, run, now)
    session.flush()
    return run


def open_manual(session: Session, cadence: Cadence, key: str, operator: str, now: datetime.datetime) -> Run | None:
    """Open the run that an operator asked for; None when the same form was sent before (`key` is its own)."""
    return open_run(session, cadence, key, ALL_WAVES, (), now, triggered_by=operator)


def close(session: Session, run: Run, readers: int, now: datetime.datetime) -> None:
    """Count everyone in the run's zones as having read up to its cut, and let it go out, if to anyone."""
    zones = select(RunZone.timezone).where(RunZone.run_id == run.id)
    covered = update(Cut).where(Cut.cadence_id == run.cadence_id, Cut.timezone.in_(zones))
    moved = {"number": run.cut_number} if run.manual else {"number": run.cut_number, "period": run.period}
    session.execute(covered.values(moved).execution_options(synchronize_session=False))
    marks = select(RunMark.subscription_id).where(RunMark.run_id == run.id)
    session.execute(
        update(Subscription)
        .where(Subscription.id.in_(marks))
        .values(mark=None)
        .execution_options(synchronize_session=False)
    )
    run.readers = readers
    if not readers:
        finishing.move(run, RunState.SKIPPED, now, SkipReason.NOTHING_NEW)
        session.flush()
        return
    carried = select(RunArticle.article_id).where(RunArticle.run_id == run.id)
    session.execute(
        update(Article)
        .where(Article.id.in_(carried), Article.digested_at.is_(None))
        .values(digested_at=now)
        .execution_options(synchronize_session=False)
    )
    finishing.move(run, RunState.SENDING, now)
    session.flush()


def skip(session: Session, due: DueWave, now: datetime.datetime) -> Run | None:
    """Record that a wave is not sent any more; its articles wait for the next. None when that is recorded already."""
    reason = due.skip_reason
    if reason is None:
        raise ValueError("a wave that is not late is not skipped")
    run = _claim(session, due.cadence, due.period, due.wave, now, "")
    cuts = _lock_cuts(session, due.cadence.id, due.zones)
    _move_period(session, due.cadence.id, [cut.timezone for cut in cuts if cut.period < due.period], due.period)
    if run is not None:
        run.after_number = run.cut_number = min((cut.number for cut in cuts), default=0)
        finishing.move(run, RunState.SKIPPED, now, reason)
        session.flush()
    return run


def _claim(
    session: Session, cadence: Cadence, period: str, wave: datetime.datetime, now: datetime.datetime, triggered_by: str
) -> Run | None:
    """Make the run's row. Who comes second waits here for the first one's commit, and gets None."""
    values = {
        "cadence_id": cadence.id,
        "period": period,
        "wave": wave,
        "triggered_by": triggered_by,
        "state": RunState.PLANNED,
        "created_at": now,
    }
    run_id = session.scalar(insert_new(session, Run).values(values).returning(Run.id))
    return None if run_id is None else session.get_one(Run, run_id)


def _lock_cuts(session: Session, cadence_id: int, zones: Sequence[str] | None) -> list[Cut]:
    statement = select(Cut).where(Cut.cadence_id == cadence_id).order_by(Cut.timezone)
    if zones is not None:
        statement = statement.where(Cut.timezone.in_(zones))
    locked = lock_rows(session, statement).execution_options(populate_existing=True)
    return list(session.scalars(locked))


def _move_period(session: Session, cadence_id: int, zones: Sequence[str], period: str) -> None:
    session.execute(
        update(Cut)
        .where(Cut.cadence_id == cadence_id, Cut.timezone.in_(zones))
        .values(period=period)
        .execution_options(synchronize_session=False)
    )


def _freeze(session: Session, run: Run, cuts: Sequence[Cut]) -> None:
    """Write down zones, marks, articles and what readers have had: all that a message is made from, now and later."""
    if not cuts:
        return
    zones = [cut.timezone for cut in cuts]
    session.execute(
        insert(RunZone),
        [{"run_id": run.id, "timezone": cut.timezone, "after_number": cut.number} for cut in cuts],
    )
    own = window.marked(run.cadence_id).where(Subscriber.timezone.in_(zones)).add_columns(literal(run.id))
    session.execute(insert(RunMark).from_select(["subscription_id", "mark", "run_id"], own))
    lowest = session.scalar(select(func.min(RunMark.mark)).where(RunMark.run_id == run.id))
    floor = run.after_number if lowest is None else min(lowest, run.after_number)
    new = window.eligible(run.cadence_id).where(Article.number > floor, Article.number <= run.cut_number)
    session.execute(
        insert(RunArticle).from_select(
            ["category_id", "number", "article_id", "run_id"], new.add_columns(literal(run.id))
        )
    )
    analyse(session, RunZone, RunMark, RunArticle)
    had = exclusions(window.of_run(run)).subquery()
    session.execute(
        insert(RunExclusion).from_select(
            ["subscriber_id", "number", "run_id"], select(had.c.subscriber_id, had.c.number, literal(run.id))
        )
    )
    analyse(session, RunExclusion)


def _subject(session: Session, run: Run, now: datetime.datetime) -> str:
    if run.cadence.subject_text:
        return f"{run.cadence.subject_text}, {now.date() if run.manual else run.period}"
    lead = Selector(session, run).select_copy().lead
    return "" if lead is None else session.scalars(select(Article.title).where(Article.id == lead)).one()
