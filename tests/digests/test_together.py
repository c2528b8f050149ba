"""Two at once make one run, and a run waits for whoever is publishing."""

import threading

import pytest
from flask import Flask
from sqlalchemy import func, select

from newsletter.content.models import Article
from newsletter.digests import opening
from newsletter.digests.due import due_waves
from newsletter.digests.models import Run, RunArticle
from newsletter.digests.readers import readers_of
from newsletter.foundation.db import db, transaction
from tests.conftest import NOW
from tests.digests.newsroom import Newsroom


def start(app: Flask, manual: bool, found: list[Run | None], barrier: threading.Barrier) -> None:
    with app.app_context():
        try:
            wave = due_waves(db.session(), NOW)[0]
            barrier.wait(10)
            with transaction() as session:
                if manual:
                    run = opening.open_manual(session, wave.cadence, "key", "operator", NOW)
                else:
                    run = opening.open_run(session, wave.cadence, wave.period, wave.wave, wave.zones, NOW)
                if run is not None:
                    opening.close(session, run, len(session.execute(readers_of(session, run)).all()), NOW)
            found.append(run)
        finally:
            db.session.remove()


@pytest.mark.parametrize("manual", [False, True])
def test_two_who_open_the_same_run_make_one(app_on_each: Flask, manual: bool) -> None:
    with transaction() as session:
        room = Newsroom(session, NOW.replace(hour=3))
        daily, business = room.cadence("daily"), room.category("Business")
        room.reader(daily, [business])
        room.article([business])
    found: list[Run | None] = []
    barrier = threading.Barrier(3)
    threads = [threading.Thread(target=start, args=(app_on_each, manual, found, barrier)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 3
    assert len([run for run in found if run is not None]) == 1
    with transaction() as session:
        assert session.scalar(select(func.count()).select_from(Run)) == 1


@pytest.mark.postgres
def test_a_run_waits_for_an_article_that_is_being_stored(app_on_each: Flask) -> None:
    if db.engine.dialect.name != "postgresql":
        return
    with transaction() as session:
        room = Newsroom(session, NOW.replace(hour=3))
        daily, business = room.cadence("daily"), room.category("Business")
        room.reader(daily, [business])
    found: list[Run | None] = []
    thread = threading.Thread(target=start, args=(app_on_each, False, found, threading.Barrier(1)))
    with transaction() as session:
        article = Newsroom(session, NOW).article([business])
        thread.start()
        thread.join(0.5)
        assert thread.is_alive(), "the run was cut while an article with a number below its cut was not committed"
    thread.join(30)
    db.session.expire_all()
    with transaction() as session:
        assert session.scalars(select(RunArticle.article_id)).all() == [article.id]
        assert session.get_one(Article, article.id).digested_at == NOW
