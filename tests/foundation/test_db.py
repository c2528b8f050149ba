"""The database's habits: one way to commit, aware times, closed words, and a write lock taken at the beginning."""

import contextlib
import datetime
import sqlite3
import threading
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import insert, text
from sqlalchemy.exc import IntegrityError, StatementError

from newsletter.content.models import Category
from newsletter.foundation.db import _prepare_sqlite, analyse, db, transaction
from newsletter.operators.models import Alarm
from tests.planner import rows_known

NAIVE = datetime.datetime(2026, 11, 23, 7, 0)
AWARE = datetime.datetime(2026, 11, 23, 7, 0, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))


def test_what_fails_leaves_nothing_behind(app_on_each: Flask) -> None:
    def fail() -> None:
        with transaction() as session:
            session.add(Category(slug="a", name="A"))
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert db.session.query(Category).count() == 0


def test_an_errors_words_do_not_tell_what_was_to_be_stored(app_on_each: Flask) -> None:
    def add() -> None:
        with transaction() as session:
            session.execute(insert(Category).values(slug="a", name="Ada Lovelace", position=1))

    add()
    with pytest.raises(IntegrityError) as error:
        add()
    assert "Lovelace" not in str(error.value)
    assert "INSERT INTO categories" in str(error.value)


def test_a_change_outside_a_transaction_is_refused(app: Flask) -> None:
    db.session.add(Category(slug="a", name="A"))
    with pytest.raises(RuntimeError, match="outside a transaction"), transaction():
        pass
    db.session.rollback()


def test_times_come_back_aware_and_in_utc(app_on_each: Flask) -> None:
    with transaction() as session:
        session.add(Alarm(key="k", text="t", raised_at=AWARE))
    with transaction() as session:
        alarm = session.get_one(Alarm, 1, populate_existing=True)
        assert alarm.raised_at == AWARE
        assert alarm.raised_at.utcoffset() == datetime.timedelta()


def test_a_naive_time_is_refused(app: Flask) -> None:
    with pytest.raises(StatementError, match="naive"), transaction() as session:
        session.add(Alarm(key="k", text="t", raised_at=NAIVE))


def test_ids_are_never_given_twice(app_on_each: Flask) -> None:
    with transaction() as session:
        first = Category(slug="a", name="A")
        session.add(first)
        session.flush()
        session.delete(first)
    with transaction() as session:
        second = Category(slug="b", name="B")
        session.add(second)
    assert second.id > first.id


def test_two_who_read_and_then_write_wait_for_each_other(app_on_each: Flask) -> None:
    """On SQLite a read that turns into a write would fail at once; the lock at the beginning makes the second wait."""
    with transaction() as session:
        session.add(Category(slug="a", name="A", position=0))

    def count_up() -> None:
        for _ in range(20):
            with app_on_each.app_context(), transaction() as session:
                session.execute(text("UPDATE categories SET position = position + 1"))

    threads = [threading.Thread(target=count_up) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert db.session.scalar(text("SELECT position FROM categories")) == 60


def test_foreign_keys_are_kept_on_both(app_on_each: Flask) -> None:
    with pytest.raises(IntegrityError), transaction() as session:
        session.execute(text("INSERT INTO article_categories (article_id, category_id) VALUES (7, 7)"))


def test_tables_that_were_filled_at_once_are_known_from_then_on_and_others_are_not(app_on_each: Flask) -> None:
    with transaction() as session:
        session.execute(insert(Category), [{"slug": str(number), "name": str(number)} for number in range(30)])
        session.add(Alarm(key="k", text="t", raised_at=AWARE))
        assert rows_known(session, Category) is None
        analyse(session, Category)
    assert rows_known(db.session(), Category) == 30
    assert rows_known(db.session(), Alarm) is None
    with transaction() as session:
        analyse(session)
    assert rows_known(db.session(), Alarm) == 1


def test_a_commit_on_sqlite_waits_for_the_disk_and_keys_are_kept(tmp_path: Path) -> None:
    # Asked of the function itself: in the tests' own process SQLite is told afterwards not to wait.
    with contextlib.closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        _prepare_sqlite(connection, None)
        asked = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "foreign_keys")}
        assert asked == {"synchronous": 2, "foreign_keys": 1}
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
