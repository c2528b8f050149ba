from flask import Flask
from sqlalchemy import text

from newsletter.foundation.db import transaction


def test_a_migrated_database_is_ready(app: Flask) -> None:
    assert app.test_client().get("/health/ready").status_code == 200


def test_a_database_without_this_versions_tables_is_not_ready(app: Flask) -> None:
    with transaction() as session:
        session.execute(text("DELETE FROM alembic_version"))
    answer = app.test_client().get("/health/ready")
    assert answer.status_code == 503
    assert "db upgrade" in answer.text


def test_being_alive_asks_nothing_of_the_database(app: Flask) -> None:
    assert app.test_client().get("/health/live").json == {"ok": True}
