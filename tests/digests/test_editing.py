"""What operators do to what goes out."""

import datetime

import pytest

from newsletter.audience.models import Cadence
from newsletter.digests import editing
from newsletter.foundation.errors import ConflictError, NotFoundError
from tests.digests.newsroom import Newsroom


def test_what_is_released_goes_out_though_a_digest_has_passed_it(room: Newsroom, daily: Cadence, business: int) -> None:
    reader = room.reader(daily, [business])
    held = room.article([business], "held")
    room.article([business], "other")
    editing.hold(room.session, held.id, room.now)
    room.manual(daily)
    editing.release(room.session, held.id, room.now)
    assert room.titles(room.sent(room.manual(daily))[reader]) == [["held"]]
    editing.release(room.session, held.id, room.now)
    assert room.manual(daily).readers == 0


def test_what_a_digest_has_carried_keeps_its_place_when_released(
    room: Newsroom, daily: Cadence, weekly: Cadence, business: int
) -> None:
    room.reader(daily, [business])
    slow = room.reader(weekly, [business])
    article = room.article([business])
    number = article.number
    room.manual(daily)
    editing.hold(room.session, article.id, room.now)
    editing.release(room.session, article.id, room.now)
    assert article.number == number
    assert room.manual(daily).readers == 0
    assert room.sent(room.manual(weekly))[slow].lead == article.id


def test_what_waits_for_its_date_still_waits_when_released(room: Newsroom, business: int) -> None:
    ahead = room.article([business], numbered=False, available_at=room.now + datetime.timedelta(hours=1))
    backlog = room.article([business], numbered=False, available_at=None)
    for article in (ahead, backlog):
        editing.hold(room.session, article.id, room.now)
        assert editing.release(room.session, article.id, room.now).number is None
        assert article.held_at is None
    editing.hold(room.session, ahead.id, room.now)
    room.tick(hours=1)
    assert editing.release(room.session, ahead.id, room.now).number is not None


def test_what_is_withdrawn_never_comes_back(room: Newsroom, daily: Cadence, business: int) -> None:
    room.reader(daily, [business])
    article = room.article([business])
    editing.hold(room.session, article.id, room.now)
    editing.withdraw(room.session, article.id, room.now)
    first = article.withdrawn_at
    room.tick(hours=1)
    assert editing.withdraw(room.session, article.id, room.now).withdrawn_at == first
    editing.release(room.session, article.id, room.now)
    with pytest.raises(ConflictError):
        editing.hold(room.session, article.id, room.now)
    assert room.manual(daily).readers == 0


def test_an_article_is_left_out_of_one_cadence_until_it_is_put_back(
    room: Newsroom, daily: Cadence, weekly: Cadence, business: int
) -> None:
    reader = room.reader(daily, [business])
    one, other = room.article([business], "one"), room.article([business], "other")
    for _ in range(2):
        editing.leave_out(room.session, daily.id, one.id, room.now)
    editing.leave_out(room.session, weekly.id, other.id, room.now)
    editing.leave_out(room.session, daily.id, other.id, room.now)
    editing.put_back(room.session, daily.id, other.id)
    assert room.titles(room.sent(room.manual(daily))[reader]) == [["other"]]


def test_a_pinned_article_leads_until_unpinned(room: Newsroom, daily: Cadence, business: int, world: int) -> None:
    reader = room.reader(daily, [business, world])
    room.article([business], "news")
    pinned = room.article([world], "pinned")
    editing.pin(room.session, pinned.id, room.now)
    run = room.manual(daily)
    assert run.subject == "pinned"
    assert room.titles(room.sent(run)[reader]) == [["pinned"], ["news"]]
    assert editing.unpin(room.session, pinned.id).pinned_at is None


@pytest.mark.parametrize("act", [editing.hold, editing.release, editing.withdraw, editing.pin])
def test_there_is_nothing_to_do_to_an_article_that_is_not_there(room: Newsroom, act: object) -> None:
    assert callable(act)
    with pytest.raises(NotFoundError):
        act(room.session, 404, room.now)


@pytest.mark.parametrize("period", ["", "tomorrow", "2026-13-01", "2026-11-23'; --"])
def test_only_a_dates_digest_can_be_held(room: Newsroom, daily: Cadence, period: str) -> None:
    with pytest.raises(NotFoundError):
        editing.hold_digest(room.session, daily.id, period, "operator", room.now)
