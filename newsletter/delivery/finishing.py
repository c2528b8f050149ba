"""The end of a mailing: when every delivery is settled, and not before."""

import datetime
import logging

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from newsletter.delivery.balancing import counts_balance, recount
from newsletter.delivery.models import Mailing, MailingState
from newsletter.digests import finishing as runs
from newsletter.digests.models import Run, RunState

log = logging.getLogger(__name__)


def finish_if_settled(session: Session, mailing_id: int, now: datetime.datetime) -> bool:
    """Close the mailing if nothing of it is planned, being sent or deferred; its run is then `sent`.

    Unknown deliveries wait for an operator and are shown as what they are; they do not keep it open. The counters are
    proved against the rows first: a run never says `sent` over sums that do not balance.
    """
    finished = session.execute(
        update(Mailing)
        .where(
            Mailing.id == mailing_id,
            Mailing.state == MailingState.SENDING,
            Mailing.planned == 0,
            Mailing.sending == 0,
            Mailing.deferred == 0,
        )
        .values(state=MailingState.FINISHED, finished_at=now)
        .execution_options(synchronize_session=False)
    )
    if not finished.rowcount:  # type: ignore[attr-defined]  # a cursor's result has it
        return False
    mailing = session.get_one(Mailing, mailing_id, populate_existing=True)
    if not counts_balance(session, mailing_id):
        log.error("counters did not add up to the deliveries", extra={"mailing": mailing_id, "counts": mailing.counts})
        recount(session, mailing_id)
        if mailing.planned or mailing.sending or mailing.deferred:
            mailing.state, mailing.finished_at = MailingState.SENDING, None
            session.flush()
            return False
    if mailing.run_id is not None:
        runs.move(session.get_one(Run, mailing.run_id, populate_existing=True), RunState.SENT, now)
    return True


def reopen(session: Session, mailing_id: int, now: datetime.datetime) -> None:
    """Let a finished mailing and its run send again, because deliveries of it are to be tried again."""
    session.execute(
        update(Mailing)
        .where(Mailing.id == mailing_id, Mailing.state == MailingState.FINISHED)
        .values(state=MailingState.SENDING, finished_at=None)
        .execution_options(synchronize_session=False)
    )
    run_id = session.scalar(select(Mailing.run_id).where(Mailing.id == mailing_id))
    run = session.get_one(Run, run_id, populate_existing=True) if run_id is not None else None
    if run is not None and run.state is RunState.SENT:
        runs.move(run, RunState.SENDING, now)
