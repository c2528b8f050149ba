"""What nobody confirmed goes; what was confirmed stays."""

from sqlalchemy import func, select

from newsletter.audience import leaving, upkeep
from newsletter.audience.models import Confirmation, Consent, MailCap, SignupRequest, Subscriber, Subscription
from newsletter.foundation.db import transaction
from tests.audience.conftest import DAILY, DAY, HOUR, SOURCE, Room
from tests.conftest import NOW


def count(room: Room, table: type) -> int:
    return room.session.scalar(select(func.count()).select_from(table)) or 0


def tidy(room: Room, now: object) -> upkeep.Removed:
    with transaction() as session:
        return upkeep.remove_old(session, now)  # type: ignore[arg-type]  # a datetime


def test_an_unconfirmed_sign_up_is_gone_after_seven_days_and_nothing_else(room: Room) -> None:
    reader = room.reader("ann@example.org")
    room.request("ann@example.org", NOW + HOUR, categories=(3,))
    room.request("bob@example.org", NOW + HOUR)
    room.process(NOW + HOUR)
    assert tidy(room, NOW + 7 * DAY) == upkeep.Removed(3, 0, 0, 0, 0)
    assert tidy(room, NOW + 7 * DAY + 2 * HOUR) == upkeep.Removed(0, 2, 3, 1, 0)
    assert count(room, Subscriber) == 1
    assert room.choices(reader) == {1: DAILY, 2: DAILY}
    assert count(room, Subscription) == 2
    assert count(room, Confirmation) == 1
    assert room.acts(reader) == [("newsletter", "given"), ("newsletter", "confirmed"), ("newsletter", "given")]
    assert count(room, Consent) == 3


def test_a_stranger_who_asked_once_more_stays_until_that_is_old_too(room: Room) -> None:
    room.request()
    room.process()
    room.request(now=NOW + 6 * DAY)
    room.process(NOW + 6 * DAY)
    tidy(room, NOW + 8 * DAY)
    assert len(room.asked()) == 1
    reader = room.confirm(room.asked()[0].id, NOW + 7 * DAY).subscriber_id
    assert room.choices(reader) == {1: DAILY, 2: DAILY}


def test_whoever_confirmed_and_left_stays_with_the_proof(room: Room) -> None:
    reader = room.reader()
    with transaction() as session:
        leaving.leave_all(session, reader, NOW, SOURCE)
    tidy(room, NOW + 365 * DAY)
    assert room.acts(reader) == [("newsletter", act) for act in ("given", "confirmed", "withdrawn")]


def test_requests_go_a_day_after_they_were_decided_and_counters_after_their_window(room: Room) -> None:
    room.request()
    room.process()
    assert tidy(room, NOW + DAY).requests == 0
    assert tidy(room, NOW + DAY + HOUR).requests == 1
    assert count(room, SignupRequest) == 0
    tidy(room, NOW + 30 * DAY)
    assert count(room, MailCap) == 1
    tidy(room, NOW + 30 * DAY + HOUR)
    assert count(room, MailCap) == 0


def test_a_request_that_nobody_decided_is_not_kept_for_ever(room: Room) -> None:
    room.request()
    tidy(room, NOW + 6 * DAY)
    assert count(room, SignupRequest) == 1
    tidy(room, NOW + 8 * DAY)
    assert count(room, SignupRequest) == 0
