"""Alarms for digests that are late or lost."""

from newsletter.audience.models import Cadence
from newsletter.digests import alarms, editing, finishing, opening
from newsletter.digests.due import due_waves
from newsletter.digests.models import RunState
from newsletter.operators import alarms as raised
from tests.digests.newsroom import Newsroom

LATE = "late:daily:2026-11-23:2026-11-23T06:00Z"
MISSED = "missed:daily:2026-11-23:2026-11-23T06:00Z"


def standing(room: Newsroom) -> set[str]:
    room.session.expire_all()
    return {alarm.key for alarm in raised.standing(room.session)}


def test_a_digest_that_was_not_started_raises_one_alarm(
    room: Newsroom, daily: Cadence, weekly: Cadence, business: int
) -> None:
    room.reader(daily, [business])
    weekly.alarm_minutes = 600
    room.reader(weekly, [business])
    room.tick(hours=2.5, minutes=29)
    assert alarms.watch(room.session, room.now) == []
    room.tick(minutes=1)
    assert alarms.watch(room.session, room.now) == [LATE]
    assert alarms.watch(room.session, room.now) == []
    assert standing(room) == {LATE}


def test_the_alarm_ends_when_the_digest_is_out_and_not_before(room: Newsroom, daily: Cadence, business: int) -> None:
    room.reader(daily, [business])
    room.article([business])
    room.tick(hours=3)
    alarms.watch(room.session, room.now)
    (run,) = room.due()
    alarms.watch(room.session, room.now)
    assert standing(room) == {LATE}
    finishing.move(run, RunState.SENT, room.now)
    room.session.flush()
    alarms.watch(room.session, room.now)
    assert standing(room) == set()
    assert alarms.watch(room.session, room.now) == []


def test_a_digest_that_is_held_raises_one_that_says_so(room: Newsroom, daily: Cadence, business: int) -> None:
    room.reader(daily, [business])
    editing.hold_digest(room.session, daily.id, "2026-11-23", "operator", room.now)
    room.tick(hours=4)
    alarms.watch(room.session, room.now)
    (alarm,) = raised.standing(room.session)
    assert alarm.text == "The digest “Daily” of 2026-11-23, due at 06:00 UTC, is being held."


def test_a_digest_that_will_never_be_raises_another_which_stays(room: Newsroom, daily: Cadence, business: int) -> None:
    room.reader(daily, [business])
    room.tick(hours=5)
    alarms.watch(room.session, room.now)
    room.tick(hours=5)
    (wave,) = due_waves(room.session, room.now)
    opening.skip(room.session, wave, room.now)
    assert alarms.watch(room.session, room.now) == [MISSED]
    assert alarms.watch(room.session, room.now) == []
    assert standing(room) == {MISSED}


def test_a_digest_with_nothing_new_is_no_reason_for_one(room: Newsroom, daily: Cadence, business: int) -> None:
    room.reader(daily, [business])
    room.tick(hours=2.5)
    room.due()
    room.tick(hours=1)
    assert alarms.watch(room.session, room.now) == []
