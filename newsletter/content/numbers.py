"""Numbers: the order in which digests read articles.

A number is taken under a lock that is held to the commit, by whoever numbers an article and by whoever cuts a run. So
every article with a number below a run's cut is committed before the run looks, and none can slip in behind it.
"""

from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from newsletter.content.models import Counter
from newsletter.foundation.db import lock_rows

_ARTICLE: Final = "article"


def lock_counter(session: Session) -> int:
    """Wait for the lock on the counter, hold it to the end of the transaction, and return the last number given."""
    value: int = session.scalars(lock_rows(session, select(Counter.value).where(Counter.name == _ARTICLE))).one()
    return value


def take_numbers(session: Session, count: int) -> range:
    """Take the next `count` numbers under the lock."""
    last = session.scalars(
        update(Counter).where(Counter.name == _ARTICLE).values(value=Counter.value + count).returning(Counter.value)
    ).one()
    return range(last - count + 1, last + 1)
