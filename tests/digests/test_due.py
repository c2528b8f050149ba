"""Which waves are due: once a period, late ones not, held ones not yet, and never for those who were not there."""

import datetime

from sqlalchemy import update

from newsletter.audience.models import Cadence, Cut
from newsletter.digests import editing, opening
from newsletter.digests.due import DueWave, due_waves
from newsletter.digests.models import RunState, SkipReason
from tests.digests.newsroom import Newsroom

# The newsroom opens at 03:30 UTC; in Berlin it is seven at 06:00 UTC.


def due(room: Newsroom) -> list[tuple[str, str, tuple[str, ...], bool]]:
    return [(wave.cadence.slug, wave.period, wave.zones, wave.late) for wave in due_waves(room.session, room.now)]


def test_nothing_is_due_before_the_hour(room: Newsroom, daily: Cadence, business: int) -> None:
    room.reader(daily, [business])
    room.tick(hours=2, minutes=29, seconds=59)
    assert due(room) == []
    room.tick(seconds=1)
    assert due(room) == [("daily", "2026-11-23", ("Europe/Berlin",), False)]


def test_zones_of_one_instant_go_together_and_others_in_their_own_wave(
    room: Newsroom, daily: Cadence, weekly: Cadence, business: int
) -> None:
    for zone in ("Europe/Paris", "Europe/Berlin", "Europe/London"):
        room.reader(daily, [business], zone)
    room.reader(weekly, [business], "Europe/Rome")
    room.tick(hours=4)
    assert due(room) == [
        ("daily", "2026-11-23", ("Europe/Berlin", "Europe/Paris"), False),
        ("weekly", "2026-11-23", ("Europe/Rome",), False),
        ("daily", "2026-11-23", ("Europe/London",), False),
    ]


def test_nothing_is_due_for_a_zone_whose_first_reader_came_after_the_hour(
    room: Newsroom, daily: Cadence, business: int
) -> None:
    room.reader(daily, [business])
    room.tick(hours=3)
    room.reader(daily, [business], "Europe/Paris")
    assert [zones for _, _, zones, _ in due(room)] == [("Europe/Berlin",)]


def test_what_went_out_is_not_due_again(room: Newsroom, daily: Cadence, business: int) -> None:
    room.reader(daily, [business])
    room.article([business])
    room.tick(hours=3)
    assert len(room.due()) == 1
    assert due(room) == []
    room.tick(hours=24)
    assert [period for _, period, _, _ in due(room)] == ["2026-11-24"]


def test_an_hour_that_is_changed_does_not_make_the_period_come_twice(
    room: Newsroom, daily: Cadence, business: int
) -> None:
    room.reader(daily, [business])
    room.tick(hours=3)
    room.due()
    daily.hour = 8
    room.tick(hours=2)
    assert due(room) == []


def test_after_a_long_pause_only_the_last_period_is_due(room: Newsroom, daily: Cadence, business: int) -> None:
    room.reader(daily, [business])
    room.tick(days=5, hours=4)
    assert due(room) == [("daily", "2026-11-28", ("Europe/Berlin",), False)]


def test_what_is_too_late_is_recorded_once_and_its_articles_wait(room: Newsroom, daily: Cadence, business: int) -> None:
    reader = room.reader(daily, [business])
    article = room.article([business])
    before = room.cut(daily).number
    room.tick(hours=2.5, minutes=daily.max_lateness_minutes)
    assert not due_waves(room.session, room.now)[0].late
    room.tick(seconds=1)
    (wave,) = due_waves(room.session, room.now)
    run = opening.skip(room.session, wave, room.now)
    assert run is not None
    assert (run.state, run.skip_reason, run.finished_at) == (RunState.SKIPPED, SkipReason.TOO_LATE, room.now)
    assert opening.skip(room.session, wave, room.now) is None
    assert due(room) == []
    assert (room.cut(daily).number, room.cut(daily).period) == (before, "2026-11-23")
    room.tick(days=1, hours=-4)
    (run,) = room.due()
    assert room.sent(run)[reader].lead == article.id


def test_a_held_period_waits_and_goes_out_when_released_in_time(
    room: Newsroom, daily: Cadence, weekly: Cadence, business: int
) -> None:
    room.reader(daily, [business])
    room.reader(weekly, [business])
    editing.hold_digest(room.session, daily.id, "2026-11-23", "operator", room.now)
    editing.hold_digest(room.session, daily.id, "2026-11-23", "another", room.now)
    editing.hold_digest(room.session, weekly.id, "2026-11-24", "operator", room.now)
    room.tick(hours=3)
    assert [slug for slug, *_ in due(room)] == ["weekly"]
    editing.release_digest(room.session, daily.id, "2026-11-23")
    assert [slug for slug, *_ in due(room)] == ["daily", "weekly"]


def test_a_period_that_is_held_too_long_is_skipped_as_held(room: Newsroom, daily: Cadence, business: int) -> None:
    room.reader(daily, [business])
    editing.hold_digest(room.session, daily.id, "2026-11-23", "operator", room.now)
    room.tick(hours=9)
    (wave,) = due_waves(room.session, room.now)
    run = opening.skip(room.session, wave, room.now)
    assert run is not None
    assert run.skip_reason is SkipReason.HELD


def test_an_archived_cadence_is_never_due(room: Newsroom, daily: Cadence, weekly: Cadence, business: int) -> None:
    room.reader(daily, [business])
    room.reader(weekly, [business])
    daily.archived_at = room.now
    room.tick(hours=3)
    assert [slug for slug, *_ in due(room)] == ["weekly"]


def test_a_zone_that_came_while_its_wave_was_opened_waits_for_the_next_period(
    room: Newsroom, daily: Cadence, business: int
) -> None:
    room.reader(daily, [business])
    room.reader(daily, [business], "Europe/Paris")
    room.tick(hours=3)
    wave: DueWave = due_waves(room.session, room.now)[0]
    run = opening.open_run(room.session, daily, wave.period, wave.wave, ["Europe/Berlin"], room.now)
    assert run is not None
    room.plan(run)
    assert [zones for _, _, zones, _ in due(room)] == [("Europe/Paris",)]
    assert room.due() == []
    assert due(room) == []
    assert room.cut(daily, "Europe/Paris").number < room.cut(daily).number


def test_a_wave_that_another_took_meanwhile_leaves_no_run(room: Newsroom, daily: Cadence, business: int) -> None:
    """Two ticks, one before and one after an operator changed the hour."""
    room.reader(daily, [business])
    room.tick(hours=3)
    (wave,) = due_waves(room.session, room.now)
    room.session.execute(update(Cut).values(period=wave.period))
    other_instant = wave.wave + datetime.timedelta(hours=1)
    assert opening.open_run(room.session, daily, wave.period, other_instant, wave.zones, room.now) is None
    assert opening.open_run(room.session, daily, wave.period, other_instant, wave.zones, room.now) is None
