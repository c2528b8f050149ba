"""Giving back what a run took from a reader and could not be sent to them: those who paused while their mail waited."""

from collections.abc import Sequence

from sqlalchemy import case, func, select, update
from sqlalchemy.orm import Session

from newsletter.audience.models import Subscription, SubscriptionState
from newsletter.digests.models import Run, RunMark
from newsletter.digests.selection import Reader, took_part


def give_back(session: Session, run: Run, readers: Sequence[Reader]) -> None:
    """Let the digest after the pause begin where this run began, for paused `readers` whose delivery is skipped.

    The pause has written down that they read up to this run's cut. Where something moved that on since, it stays.
    """
    before = select(RunMark.mark).where(RunMark.run_id == run.id, RunMark.subscription_id == Subscription.id)
    after = case(dict(readers), value=Subscription.subscriber_id)
    session.execute(
        update(Subscription)
        .where(
            Subscription.subscriber_id.in_([subscriber_id for subscriber_id, _ in readers]),
            Subscription.state == SubscriptionState.ACTIVE,
            took_part(run),
            Subscription.mark == run.cut_number,
        )
        .values(mark=func.coalesce(before.scalar_subquery(), after))
        .execution_options(synchronize_session=False)
    )
