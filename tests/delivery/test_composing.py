"""Frames: what all readers of one language and zone share is made once, and for zones that show the same only once."""

import datetime

import pytest
from flask import Flask
from sqlalchemy import select, update

from newsletter.audience.models import Cadence
from newsletter.content.models import Article
from newsletter.delivery.composing_runs import Frames
from newsletter.foundation.db import db, transaction
from newsletter.mail.shapes import Marking
from tests.delivery import world

SUMMER = datetime.datetime(2026, 10, 24, 12, 0, tzinfo=datetime.UTC)
"""A day before clocks are put back in Berlin; those in Lagos, an hour behind until then, stay as they are."""
WINTER = datetime.datetime(2026, 10, 26, 6, 0, tzinfo=datetime.UTC)


def frames(published: datetime.datetime, at: datetime.datetime = WINTER) -> Frames:
    world.build(0)
    with transaction() as session:
        session.execute(update(Article).values(published_at=published))
    session = db.session()
    cadence = session.scalars(select(Cadence)).first()
    assert cadence is not None
    return Frames(session, cadence, "run-1", at, session.scalars(select(Article.id)).all())


def test_zones_whose_clocks_show_the_same_share_a_frame(app: Flask) -> None:
    made = frames(WINTER)
    berlin = made.composer("de", "Europe/Berlin")
    assert made.composer("de", "Africa/Lagos") is made.composer("de", "Europe/Paris") is berlin
    others = [
        made.composer("fr", "Europe/Paris"),
        made.composer("de", "Europe/Paris", Marking.TEST),
        made.composer("de", "Asia/Tokyo"),
        made.composer("de", "Europe/London"),
    ]
    assert len({id(one) for one in (berlin, *others)}) == 5


@pytest.mark.parametrize(("published", "at"), [(SUMMER, WINTER), (WINTER, SUMMER)])
def test_zones_that_differed_when_an_article_appeared_or_the_run_began_do_not(
    app: Flask, published: datetime.datetime, at: datetime.datetime
) -> None:
    made = frames(published, at)
    assert made.composer("en", "Europe/Berlin") is not made.composer("en", "Africa/Lagos")
    assert made.composer("en", "Europe/Berlin") is made.composer("en", "Europe/Vienna")
