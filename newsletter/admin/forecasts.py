"""The coming digests for the first page, counted once a minute: readers are many, and that page is opened often.

Who is about to send is shown figures of this very moment instead (digests.py).
"""

import datetime
from typing import Final

from flask import current_app
from sqlalchemy.orm import Session

from newsletter.audience import cadences
from newsletter.audience.models import Cadence
from newsletter.delivery import manual
from newsletter.digests.forecast import Forecast, forecast

KEPT: Final = datetime.timedelta(minutes=1)
_KEY: Final = "newsletter.forecasts"
_Kept = dict[int, tuple[str, datetime.datetime, Forecast]]


def lately(session: Session, now: datetime.datetime) -> list[tuple[Cadence, Forecast]]:
    """Return the cadences in use, each with its forecast: of the last minute, and never from before its last run."""
    kept: _Kept = current_app.extensions.setdefault(_KEY, {})
    found = []
    for cadence in cadences.listed(session):
        state = manual.key(session, cadence.id)
        known, at, counted = kept.get(cadence.id, ("", now, None))
        if counted is None or known != state or not now - KEPT < at <= now:
            counted = forecast(session, cadence, now)
            kept[cadence.id] = (state, now, counted)
        found.append((cadence, counted))
    return found
