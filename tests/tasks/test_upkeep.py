"""The sweep, through its front door: what it finds without having been told of it."""

import pytest
from flask import Flask
from sqlalchemy import func, select

from newsletter.delivery import cancelling, control, planning
from newsletter.delivery.models import Chunk, ChunkState, Delivery, Mailing, Reason
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.tasks import upkeep
from tests.delivery import world


def test_one_sweep_skips_all_that_is_left_of_a_large_cancelled_mailing(
    app_on_each: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "CHUNK", 3)
    monkeypatch.setattr(cancelling, "CHUNKS_AT_ONCE", 2)
    world.build(20)
    world.start()
    with transaction() as session:
        control.cancel(session, session.scalars(select(Mailing.id)).one(), utc_now())
    # Cancelling itself has skipped some; six readers at a time, the rest takes three turns.
    assert world.states(db.session()) == {"planned": 14, "skipped": 6}
    db.session.rollback()
    upkeep.sweep()
    assert world.states(db.session()) == {"skipped": 20}
    assert set(db.session.scalars(select(Chunk.state))) == {ChunkState.DONE}
    reasons = db.session.scalar(select(func.count()).where(Delivery.reason == Reason.CANCELLED))
    assert reasons == 20
