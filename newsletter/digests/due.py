"""Which waves are due now, and which have become too late: read from the cuts, decided by the schedule."""

import datetime
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.audience.models import Cadence, Cut
from newsletter.digests.models import Hold, SkipReason
from newsletter.digests.schedule import Due, Hour


@dataclass(frozen=True)
class DueWave:
    """A cadence's period in the zones that reached its hour together."""

    cadence: Cadence
    period: str
    wave: datetime.datetime
    zones: tuple[str, ...]
    late: bool
    """Past the cadence's greatest lateness: to be recorded as skipped (opening.skip), not sent."""
    held: bool
    """An operator ordered it to wait; one that is not late yet is not to be opened."""

    @property
    def skip_reason(self) -> SkipReason | None:
        """Why it is not sent any more, if so."""
        if not self.late:
            return None
        return SkipReason.HELD if self.held else SkipReason.TOO_LATE


def due_waves(session: Session, now: datetime.datetime) -> list[DueWave]:
    """Return what is to be opened or recorded as skipped now, earliest first; what is held waits, unless late."""
    return [wave for wave in waiting_waves(session, now) if wave.late or not wave.held]


def waiting_waves(session: Session, now: datetime.datetime) -> list[DueWave]:
    """Return every wave whose hour has come and that has neither gone out nor been skipped, held ones too.

    After a pause of several periods only the last is among them: its window reaches back over the others.
    """
    cuts: defaultdict[int, dict[str, Cut]] = defaultdict(dict)
    for cut in session.scalars(select(Cut).execution_options(populate_existing=True)):
        cuts[cut.cadence_id][cut.timezone] = cut
    holds = {(hold.cadence_id, hold.period) for hold in session.scalars(select(Hold))}
    found = []
    for cadence in cadences(session):
        for due, zones in hour_of(cadence).waves(cuts[cadence.id], now).items():
            waiting = tuple(_waiting(due, zones, cuts[cadence.id]))
            if waiting:
                late = now - due.instant > datetime.timedelta(minutes=cadence.max_lateness_minutes)
                held = (cadence.id, due.period) in holds
                found.append(DueWave(cadence, due.period, due.instant, waiting, late, held))
    return sorted(found, key=lambda wave: (wave.wave, wave.cadence.id, wave.period))


def cadences(session: Session) -> Iterable[Cadence]:
    """Return the cadences in use."""
    return session.scalars(select(Cadence).where(Cadence.archived_at.is_(None)).order_by(Cadence.position, Cadence.id))


def hour_of(cadence: Cadence) -> Hour:
    """Return the cadence's hour as the schedule takes it."""
    return Hour(cadence.weekdays, cadence.hour, cadence.minute)


def _waiting(due: Due, zones: Iterable[str], cuts: dict[str, Cut]) -> Iterable[str]:
    """Leave out zones that had this period already (before the hour was changed), or nobody in them at the time."""
    return (zone for zone in zones if cuts[zone].period < due.period and cuts[zone].since < due.instant)
