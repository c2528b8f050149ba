"""Where a subscription begins, and that no change slips between a run's window and its audience."""

import threading
import time

from flask import Flask
from sqlalchemy import select, update

from newsletter.audience import leaving, marks, preferences
from newsletter.audience.models import Cut, Subscription
from newsletter.audience.preferences import Wish
from newsletter.foundation.db import db, lock_rows, transaction
from tests.audience.conftest import DAILY, DAY, SOURCE, WEEKLY, Room
from tests.conftest import NOW

BERLIN, TOKYO = "Europe/Berlin", "Asia/Tokyo"


def cut(cadence: int, zone: str, number: int) -> None:
    """Have a run end there, with everybody's marks taken."""
    with transaction() as session:
        marks.hold_cuts(session, {(cadence, zone)}, NOW)
        where = Cut.cadence_id == cadence, Cut.timezone == zone
        session.execute(update(Cut).where(*where).values(number=number))
        session.execute(update(Subscription).where(Subscription.state == "active").values(mark=None))


def row(room: Room, reader: int, category: int) -> Subscription:
    return [one for one in room.subscriptions(reader) if one.category_id == category][-1]


def test_a_new_reader_begins_at_the_cut_of_their_zone(room: Room) -> None:
    cut(DAILY, BERLIN, 40)
    reader = room.reader()
    assert (row(room, reader, 1).first_number, row(room, reader, 1).mark) == (40, 40)


def test_a_zone_that_is_new_begins_at_the_highest_cut_of_the_cadence_and_now(room: Room) -> None:
    cut(DAILY, BERLIN, 40)
    cut(DAILY, "America/Lima", 30)
    cut(WEEKLY, BERLIN, 90)
    reader = room.reader(timezone=TOKYO)
    made = room.session.get_one(Cut, (DAILY, TOKYO))
    assert (made.number, made.period, made.since) == (40, "", NOW)
    assert row(room, reader, 1).mark == 40


def test_a_new_zone_of_a_cadence_that_never_ran_begins_at_the_beginning(room: Room) -> None:
    reader = room.reader()
    assert row(room, reader, 1).mark == 0


def test_coming_back_never_begins_before_where_one_left(room: Room) -> None:
    reader = room.reader(now=NOW - DAY)
    cut(DAILY, BERLIN, 40)
    with transaction() as session:
        leaving.leave_all(session, reader, NOW, SOURCE)
    cut(DAILY, TOKYO, 30)
    room.reader(timezone=TOKYO, categories=(1,))
    assert (row(room, reader, 1).first_number, row(room, reader, 1).mark) == (40, 40)


def test_a_category_that_moves_to_another_cadence_goes_on_where_it_was(room: Room) -> None:
    reader = room.reader(cadence=WEEKLY)
    cut(WEEKLY, BERLIN, 20)
    cut(DAILY, BERLIN, 40)
    with transaction() as session:
        preferences.change(session, reader, Wish(choices={1: DAILY, 2: WEEKLY}), NOW, SOURCE)
    assert (row(room, reader, 1).first_number, row(room, reader, 1).mark) == (20, 20)
    assert [one.mark for one in room.subscriptions(reader) if one.category_id == 1] == [20, 20]
    assert row(room, reader, 2).mark is None, "untouched"


def test_who_changes_zone_keeps_their_place_in_every_category(room: Room) -> None:
    reader = room.reader()
    cut(DAILY, BERLIN, 40)
    cut(DAILY, TOKYO, 60)
    with transaction() as session:
        preferences.change(session, reader, Wish(timezone=TOKYO), NOW, SOURCE)
    assert {one.mark for one in room.subscriptions(reader)} == {40}


def test_a_change_waits_for_a_run_that_is_under_way(room: Room, app_on_each: Flask) -> None:
    reader = room.reader()
    cut(DAILY, BERLIN, 40)
    begun = threading.Event()

    def pause() -> None:
        with app_on_each.app_context():
            begun.set()
            with transaction() as session:
                preferences.pause(session, reader, NOW)
            db.session.remove()

    worker = threading.Thread(target=pause)
    with transaction() as session:
        session.execute(lock_rows(session, select(Cut).where(Cut.cadence_id == DAILY).order_by(Cut.timezone)))
        worker.start()
        begun.wait()
        time.sleep(0.2)  # long enough to slip by, if nothing held it
        session.execute(update(Cut).where(Cut.cadence_id == DAILY, Cut.timezone == BERLIN).values(number=50))
    worker.join()
    assert {one.mark for one in room.subscriptions(reader)} == {50}


def test_two_readers_of_one_zone_do_not_wait_for_each_other(room: Room, app_on_each: Flask) -> None:
    if db.engine.dialect.name == "sqlite":
        return  # its writers are serial
    one, other = room.reader("a@example.org"), room.reader("b@example.org")

    def pause() -> None:
        with app_on_each.app_context():
            with transaction() as session:
                preferences.pause(session, other, NOW)
            db.session.remove()

    worker = threading.Thread(target=pause)
    with transaction() as session:
        preferences.pause(session, one, NOW)
        worker.start()
        worker.join(20)
        assert not worker.is_alive()
