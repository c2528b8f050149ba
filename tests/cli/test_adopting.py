"""From a SQLite file into PostgreSQL: every row, and ids that go on where they were."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import create_engine, func, insert, select, update

from newsletter.audience.models import Consent, Subscriber, Subscription
from newsletter.content.numbers import take_numbers
from newsletter.delivery.models import Delivery, DeliveryState
from newsletter.foundation import application
from newsletter.foundation.db import Base, db, transaction
from newsletter.publication import identity
from tests.cli.conftest import Command
from tests.conftest import NOW, Databases, make_settings
from tests.gazette import IDENTITY
from tests.planner import rows_known


@pytest.fixture
def file(sqlite_template: Path, tmp_path: Path) -> Path:
    """The database of an embedded service with readers, a run and its deliveries."""
    folder = tmp_path / "embedded"
    folder.mkdir()
    shutil.copy(sqlite_template, folder / "newsletter.db")
    app = application.build(make_settings(folder))
    command = Command(app)
    with app.app_context():
        with transaction() as session:
            identity.create(session, IDENTITY, NOW)
        command.run("seed", "--readers", "60", "--articles", "12")
        command.run("digests", "send", "daily", "--yes")
        db.session.remove()
        db.engine.dispose()
    return folder / "newsletter.db"


@pytest.mark.postgres
def test_every_row_arrives_and_ids_go_on(file: Path, tmp_path: Path, postgres_databases: Databases) -> None:
    with postgres_databases.fresh() as url:
        app = application.build(make_settings(tmp_path, database_url=url))
        with app.app_context():
            copied = Command(app).json("adopt", str(file))
            old = create_engine(f"sqlite:///{file}")
            with old.connect() as source:
                for table in Base.metadata.sorted_tables:
                    key = list(table.primary_key)
                    rows = source.execute(select(table).order_by(*key)).all()
                    assert sorted(map(repr, db.session.execute(select(table)).all())) == sorted(map(repr, rows))
                    assert copied[table.name] == len(rows)
            old.dispose()
            assert copied["subscribers"] == 60
            assert copied["deliveries"] > 0
            assert rows_known(db.session(), Subscriber) == 60
            assert copied["consents"] == db.session.scalar(select(func.count(Consent.id)))
            with transaction() as session:
                highest = session.scalar(select(func.max(Subscriber.id))) or 0
                row = {name: getattr(session.get_one(Subscriber, highest), name) for name in _columns(Subscriber)}
                made = insert(Subscriber).values(row | {"folded": "new@example.org"}).returning(Subscriber.id)
                assert session.scalar(made) == highest + 1
                assert take_numbers(session, 1)[0] > 12
            db.session.remove()
            db.engine.dispose()


@pytest.mark.postgres
def test_a_database_in_use_takes_nothing_over(file: Path, tmp_path: Path, postgres_databases: Databases) -> None:
    with postgres_databases.fresh() as url:
        app = application.build(make_settings(tmp_path, database_url=url))
        with app.app_context():
            with transaction() as session:
                identity.create(session, IDENTITY, NOW)
            refused = Command(app).run("adopt", str(file), status=1)
            assert "in use already" in refused.stderr
            assert not db.session.scalar(select(func.count(Subscription.id)))
            db.session.remove()
            db.engine.dispose()


@pytest.mark.postgres
def test_a_file_that_a_killed_worker_left_waits_for_its_journal(
    file: Path, tmp_path: Path, postgres_databases: Databases
) -> None:
    old = create_engine(f"sqlite:///{file}")
    with old.begin() as source:
        source.execute(update(Delivery).where(Delivery.id == 1).values(state=DeliveryState.SENDING))
    old.dispose()
    with postgres_databases.fresh() as url:
        app = application.build(make_settings(tmp_path, database_url=url))
        with app.app_context():
            refused = Command(app).run("adopt", str(file), status=1)
            assert "was killed" in refused.stderr
            db.session.remove()
            db.engine.dispose()


def _columns(table: type[Base]) -> list[str]:
    return [column.name for column in table.__table__.columns if column.name != "id"]
