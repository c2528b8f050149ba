"""An order to send a digest is one run, however often and by whomever it is given."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from sqlalchemy import func, select

from newsletter.audience import cadences
from newsletter.cli.seed import add_articles, add_readers
from newsletter.content import categories
from newsletter.delivery import manual, planning
from newsletter.delivery.models import Delivery
from newsletter.digests.models import Run
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.errors import ConflictError
from newsletter.foundation.services import services
from newsletter.publication import identity
from tests.conftest import NOW
from tests.gazette import IDENTITY
from tests.planner import rows_known


@pytest.fixture
def place(app_on_each: Flask) -> Flask:
    """A publication with readers and articles, on each database."""
    with transaction() as session:
        identity.create(session, IDENTITY, NOW)
        cadences.ensure_defaults(session)
        categories.add(session, "Business")
        add_readers(session, services().hasher, 20, 1, NOW)
        add_articles(session, 3, 1, NOW)
    return app_on_each


def test_many_orders_of_the_same_digest_make_one_run(place: Flask) -> None:
    key = manual.key(db.session(), 1)
    db.session.rollback()

    def order(number: int) -> tuple[int, bool]:
        with place.app_context():
            try:
                with transaction() as session:
                    run, new = manual.send(session, 1, key, f"operator-{number}", utc_now())
                    return run.id, new
            finally:
                db.session.remove()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(order, range(16)))
    (run_id,) = {run for run, _ in answers}
    assert sum(new for _, new in answers) == 1
    run = db.session.get_one(Run, run_id)
    assert db.session.scalar(select(func.count()).select_from(Run)) == 1
    assert db.session.scalar(select(func.count()).select_from(Delivery)) == run.readers > 0


def test_an_order_from_before_another_run_is_refused(place: Flask) -> None:
    key = manual.key(db.session(), 1)
    with transaction() as session:
        manual.send(session, 1, key, "ada", NOW)
    with pytest.raises(ConflictError, match="look again"), transaction() as session:
        manual.send(session, 1, "after-12345", "grace", NOW)


def test_nothing_is_sent_for_an_incomplete_publication(place: Flask) -> None:
    with transaction() as session:
        identity.update(session, NOW, postal_address="")
    with pytest.raises(ConflictError, match="postal address"), transaction() as session:
        manual.send(session, 1, manual.key(session, 1), "ada", NOW)
    assert db.session.scalars(select(Run)).all() == []


def test_a_large_run_lets_the_database_know_how_many_deliveries_there_are(
    place: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "_MANY", 10)
    with transaction() as session:
        run = manual.send(session, 1, manual.key(session, 1), "ada", NOW)[0]
    assert run.readers > 10
    assert rows_known(db.session(), Delivery) == run.readers
