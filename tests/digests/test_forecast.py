"""What a run would hold is what it then holds; and runs as operators see them."""

import datetime

import pytest

from newsletter.audience import preferences
from newsletter.audience.models import Cadence
from newsletter.digests import editing, runs
from newsletter.digests.forecast import forecast, preview_selection
from newsletter.foundation.errors import NotFoundError
from tests.digests.newsroom import Newsroom


@pytest.fixture
def busy(room: Newsroom, daily: Cadence, weekly: Cadence, business: int, world: int) -> dict[str, int]:
    """A morning on which every kind of reader has something else coming."""
    names = {
        "plain": room.reader(daily, [business, world]),
        "abroad": room.reader(daily, [world], "America/New_York"),
        "mixed": room.reader(daily, [business]),
        "resumed": room.reader(daily, [world]),
        "weekly": room.reader(weekly, [business]),
        "idle": room.reader(daily, []),
    }
    room.choose(names["mixed"], {business: daily.id, world: weekly.id})
    preferences.pause(room.session, names["resumed"], room.now)
    room.article([business, world])
    room.manual(weekly)
    room.manual(daily)
    preferences.resume(room.session, names["resumed"], room.now)
    for _ in range(5):
        room.article([business])
    room.article([business, world])
    editing.withdraw(room.session, room.article([world]).id, room.now)
    room.session.flush()
    return names


def test_the_forecast_is_what_the_run_then_holds(
    room: Newsroom, daily: Cadence, weekly: Cadence, busy: dict[str, int]
) -> None:
    daily.copies = ["editor@example.org"]
    expected = forecast(room.session, daily, room.now)
    assert (expected.readers, expected.articles, expected.copies) == (4, 6, 1)
    assert expected.by_category == {"Business": 6, "World": 1}
    assert expected.first is not None
    assert expected.last is not None
    assert expected.first.instant == datetime.datetime(2026, 11, 23, 6, tzinfo=datetime.UTC)
    assert expected.last.instant == datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
    previews = {reader: preview_selection(room.session, daily, reader) for reader in busy.values()}
    copy = preview_selection(room.session, daily, None)
    run = room.manual(daily)
    assert run.readers == expected.readers
    sent = room.sent(run)
    assert {reader: preview for reader, preview in previews.items() if preview} == sent
    assert copy == room.selector(run).select_copy()
    assert sent[busy["resumed"]].articles == 2


def test_a_preview_leaves_out_what_was_had_otherwise(
    room: Newsroom, daily: Cadence, weekly: Cadence, busy: dict[str, int]
) -> None:
    room.manual(daily)
    assert not preview_selection(room.session, weekly, busy["mixed"])
    assert preview_selection(room.session, weekly, busy["weekly"]).articles == 6


def test_a_cadence_that_nobody_takes_forecasts_nothing(room: Newsroom, daily: Cadence, busy: dict[str, int]) -> None:
    nobody = room.cadence("nobody")
    expected = forecast(room.session, nobody, room.now)
    assert (expected.readers, expected.articles, expected.by_category, expected.first) == (0, 0, {}, None)
    assert not preview_selection(room.session, nobody, None)


def test_an_unknown_reader_has_no_preview(room: Newsroom, daily: Cadence) -> None:
    with pytest.raises(NotFoundError):
        preview_selection(room.session, daily, 404)


def test_runs_are_shown_a_page_at_a_time_newest_first(room: Newsroom, daily: Cadence, busy: dict[str, int]) -> None:
    opened = [room.manual(daily).id for _ in range(3)]
    page = runs.recent(room.session, limit=2)
    assert [run.id for run in page] == [opened[2], opened[1]]
    assert [run.id for run in runs.recent(room.session, before=page[-1].id, limit=1)] == [opened[0]]


def test_a_run_tells_what_went_into_it(room: Newsroom, daily: Cadence, busy: dict[str, int]) -> None:
    found = runs.figures(room.session, room.manual(daily).id)
    assert found.zones == ("America/New_York", "Europe/Berlin")
    assert found.by_category == {"Business": 7, "World": 2}
    with pytest.raises(NotFoundError):
        runs.figures(room.session, 404)
