"""Whether a mailing's counters say what its deliveries say; looked at once, before a run is called sent."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from newsletter.delivery.models import Delivery, DeliveryState, Mailing


def counts_balance(session: Session, mailing_id: int) -> bool:
    """Count the deliveries anew, in one statement, and compare."""
    return session.get_one(Mailing, mailing_id, populate_existing=True).counts == counted(session, mailing_id)


def recount(session: Session, mailing_id: int) -> None:
    """Set the counters to what the deliveries say: these are the truth."""
    mailing = session.get_one(Mailing, mailing_id, populate_existing=True, with_for_update=True)
    for name, number in counted(session, mailing_id).items():
        setattr(mailing, name, number)
    session.flush()


def counted(session: Session, mailing_id: int) -> dict[str, int]:
    """Return state to number of deliveries, from the rows themselves."""
    query = select(Delivery.state, func.count()).where(Delivery.mailing_id == mailing_id).group_by(Delivery.state)
    found = dict(session.execute(query).all())
    return {state.value: found.get(state, 0) for state in DeliveryState}
