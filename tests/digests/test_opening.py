"""Opening and closing a run: who is in it, with what, and where everybody stands afterwards."""

import datetime

import pytest
from sqlalchemy import func, select

from newsletter.audience import consent, preferences
from newsletter.audience.marks import open_reading
from newsletter.audience.models import Cadence, Subscriber, Subscription
from newsletter.content.models import Category
from newsletter.digests import editing, opening, returning
from newsletter.digests.models import Run, RunExclusion, RunMark, RunState, SkipReason
from newsletter.digests.readers import readers_of
from newsletter.digests.selection import Selector
from tests.digests.newsroom import Newsroom


def test_readers_get_what_is_new_in_their_categories_and_others_nothing(
    room: Newsroom, daily: Cadence, weekly: Cadence, business: int, world: int
) -> None:
    both = room.reader(daily, [business, world])
    one = room.reader(daily, [world])
    room.reader(daily, [business])
    room.reader(weekly, [world])
    room.article([world], "Far away")
    run = room.manual(daily)
    assert {reader: room.titles(got) for reader, got in room.sent(run).items()} == {
        both: [["Far away"]],
        one: [["Far away"]],
    }
    assert (run.readers, run.articles, run.state, run.subject) == (2, 1, RunState.SENDING, "Far away")


def test_whoever_may_not_be_mailed_is_left_out(room: Newsroom, daily: Cadence, business: int) -> None:
    readers = [room.reader(daily, [business]) for _ in range(4)]
    room.suppress(readers[1])
    room.session.get_one(Subscriber, readers[2]).confirmed_at = None
    preferences.pause(room.session, readers[3], room.now)
    room.article([business])
    assert room.planned[room.manual(daily).id] == [(readers[0], 0)]


def test_a_suppressed_domain_counts_too(room: Newsroom, daily: Cadence, business: int) -> None:
    reader = room.reader(daily, [business])
    room.session.get_one(Subscriber, reader).address_hash = "another"
    room.suppress(reader)
    room.session.get_one(Subscriber, reader).domain_hash = "another"
    room.session.get_one(Subscriber, reader).address_hash = "its own"
    room.article([business])
    assert room.manual(daily).readers == 0


def test_nothing_new_is_recorded_as_skipped_and_moves_the_cut(room: Newsroom, daily: Cadence, business: int) -> None:
    room.reader(daily, [business])
    run = room.manual(daily)
    assert (run.state, run.skip_reason) == (RunState.SKIPPED, SkipReason.NOTHING_NEW)
    assert room.cut(daily).number == run.cut_number


def test_a_manual_run_leaves_the_period_to_the_scheduled_one(room: Newsroom, daily: Cadence, business: int) -> None:
    reader = room.reader(daily, [business])
    room.article([business])
    run = room.manual(daily)
    assert (run.manual, run.wave, room.cut(daily).period) == (True, opening.ALL_WAVES, "")
    second = room.article([business])
    room.tick(hours=3)
    (scheduled,) = room.due()
    assert room.sent(scheduled)[reader].sections[0].article_ids == (second.id,)
    assert room.cut(daily).period == "2026-11-23"


def test_the_same_key_opens_one_manual_run(room: Newsroom, daily: Cadence, weekly: Cadence, business: int) -> None:
    room.reader(daily, [business])
    room.reader(weekly, [business])
    room.article([business])
    room.manual(daily, "the form's key")
    assert opening.open_manual(room.session, daily, "the form's key", "another operator", room.now) is None
    assert opening.open_manual(room.session, weekly, "the form's key", "operator", room.now) is not None
    assert room.session.scalar(select(func.count()).select_from(Run)) == 2


def test_a_new_readers_first_digest_starts_at_the_last_cut(room: Newsroom, daily: Cadence, business: int) -> None:
    room.reader(daily, [business])
    room.article([business])
    room.manual(daily)
    later = room.article([business])
    new = room.reader(daily, [business])
    elsewhere = room.reader(daily, [business], "Asia/Tokyo")
    sent = room.sent(room.manual(daily))
    assert sent[new].sections[0].article_ids == sent[elsewhere].sections[0].article_ids == (later.id,)


def test_articles_that_may_not_go_out_are_not_frozen(
    room: Newsroom, daily: Cadence, weekly: Cadence, business: int
) -> None:
    room.reader(daily, [business])
    weekly_reader = room.reader(weekly, [business])
    editing.hold(room.session, room.article([business], "held").id, room.now)
    editing.withdraw(room.session, room.article([business], "withdrawn").id, room.now)
    left_out = room.article([business], "left out")
    editing.leave_out(room.session, daily.id, left_out.id, room.now)
    room.article([business], "ahead", numbered=False, available_at=room.now + datetime.timedelta(hours=9))
    room.article([business], "backlog", numbered=False, available_at=None)
    assert room.manual(daily).skip_reason is SkipReason.NOTHING_NEW
    assert room.titles(room.sent(room.manual(weekly))[weekly_reader]) == [["left out"]]


def test_an_archived_category_goes_out_no_more(room: Newsroom, daily: Cadence, business: int) -> None:
    room.reader(daily, [business])
    room.article([business])
    room.session.get_one(Category, business).archived_at = room.now
    assert room.manual(daily).readers == 0


def test_a_resumed_reader_gets_the_time_of_the_pause_and_nobody_else_does(
    room: Newsroom, daily: Cadence, business: int
) -> None:
    here, paused = room.reader(daily, [business]), room.reader(daily, [business])
    preferences.pause(room.session, paused, room.now)
    first = room.article([business])
    room.manual(daily)
    second = room.article([business])
    preferences.resume(room.session, paused, room.now)
    run = room.manual(daily)
    sent = room.sent(run)
    assert sent[paused].sections[0].article_ids == (second.id, first.id)
    assert sent[here].sections[0].article_ids == (second.id,)
    assert room.selector(run).select_copy().sections[0].article_ids == (second.id,)
    assert room.session.scalars(select(Subscription.mark)).all() == [None, None]
    marks = select(RunMark.mark).where(RunMark.run_id == run.id)
    assert room.session.scalars(marks).all() == [0]


def test_what_was_had_daily_does_not_come_weekly(
    room: Newsroom, daily: Cadence, weekly: Cadence, business: int, world: int
) -> None:
    mixed = room.reader(daily, [business])
    room.choose(mixed, {business: daily.id, world: weekly.id})
    plain = room.reader(weekly, [world])
    all_had = room.reader(daily, [business])
    room.choose(all_had, {business: daily.id, world: weekly.id})
    room.article([business, world], "in both")
    room.manual(daily)
    run = room.manual(weekly)
    assert room.planned[run.id] == [(plain, 0)]
    room.article([business, world], "in both again")
    room.article([world], "in one")
    room.manual(daily)
    run = room.manual(weekly)
    sent = {reader: room.titles(got) for reader, got in room.sent(run).items()}
    assert sent == {mixed: [["in one"]], plain: [["in one", "in both again"]], all_had: [["in one"]]}
    excluded = select(RunExclusion.subscriber_id).where(RunExclusion.run_id == run.id)
    assert set(room.session.scalars(excluded)) == {mixed, all_had}


def test_what_moves_to_the_pace_of_another_category_brings_nothing_twice(
    room: Newsroom, daily: Cadence, weekly: Cadence, business: int, world: int
) -> None:
    reader = room.reader(daily, [world])
    room.choose(reader, {world: daily.id, business: weekly.id})
    room.article([business, world], "in both")
    room.article([business], "in one")
    room.manual(daily)
    room.choose(reader, {world: daily.id, business: daily.id})
    assert room.titles(room.sent(room.manual(daily))[reader]) == [["in one"]]


def test_a_change_while_the_mail_waits_neither_adds_to_it_nor_takes_from_it(
    room: Newsroom, daily: Cadence, weekly: Cadence, business: int, world: int
) -> None:
    reader = room.reader(daily, [business])
    room.choose(reader, {business: daily.id, world: weekly.id})
    room.article([business], "daily")
    room.article([world], "weekly")
    run = room.manual(daily)
    room.choose(reader, {business: weekly.id, world: daily.id})
    wish = preferences.Wish(timezone="Asia/Tokyo")
    preferences.change(room.session, reader, wish, room.now, consent.NOWHERE)
    assert room.titles(room.sent(run)[reader]) == [["daily"]]
    assert room.titles(room.sent(room.manual(daily))[reader]) == [["weekly"]]
    assert room.manual(weekly).readers == 0


def test_a_category_that_is_dropped_while_the_mail_waits_is_not_in_it(
    room: Newsroom, daily: Cadence, business: int, world: int
) -> None:
    reader = room.reader(daily, [business, world])
    other = room.reader(daily, [business, world])
    room.article([business], "business")
    room.article([world], "world")
    run = room.manual(daily)
    room.choose(reader, {world: daily.id})
    assert room.titles(room.sent(run)[reader]) == [["world"]]
    room.choose(reader, {})
    assert not room.sent(run)[reader]
    assert room.titles(room.sent(run)[other]) == [["business"], ["world"]]


@pytest.mark.parametrize("stop", [editing.hold, editing.withdraw])
def test_what_is_stopped_while_mails_wait_is_in_none_that_is_still_to_be_made(
    room: Newsroom, daily: Cadence, business: int, stop: object
) -> None:
    assert callable(stop)
    reader = room.reader(daily, [business])
    room.article([business], "good")
    bad = room.article([business], "bad")
    run = room.manual(daily)
    selector = Selector(room.session, run)
    assert selector.select(room.session, room.planned[run.id])[reader].articles == 2
    stop(room.session, bad.id, room.now)
    room.session.flush()
    assert room.titles(selector.select(room.session, room.planned[run.id])[reader]) == [["good"]]


def test_whoever_pauses_before_their_mail_goes_out_gets_it_after_the_pause(
    room: Newsroom, daily: Cadence, business: int
) -> None:
    reader, other = room.reader(daily, [business]), room.reader(daily, [business])
    article = room.article([business])
    run = room.manual(daily)
    preferences.pause(room.session, reader, room.now)
    returning.give_back(room.session, run, [room.planned[run.id][0]])
    preferences.resume(room.session, reader, room.now)
    after = room.manual(daily)
    assert room.sent(after)[reader].lead == article.id
    assert other not in room.sent(after)


def test_the_subject_is_the_fixed_text_with_the_date_where_there_is_one(
    room: Newsroom, daily: Cadence, business: int
) -> None:
    daily.subject_text = "Today at noon"
    room.reader(daily, [business])
    room.article([business])
    room.tick(hours=3)
    (run,) = room.due()
    assert run.subject == "Today at noon, 2026-11-23"


def test_a_run_without_any_zone_is_skipped(room: Newsroom, daily: Cadence, weekly: Cadence, business: int) -> None:
    room.reader(weekly, [business])
    room.article([business])
    run = room.manual(daily)
    assert (run.skip_reason, list(room.session.execute(readers_of(room.session, run)))) == (SkipReason.NOTHING_NEW, [])


def test_what_some_have_had_is_still_new_to_others_in_the_same_run(
    room: Newsroom, daily: Cadence, weekly: Cadence, business: int, world: int
) -> None:
    """Each of the two has had one of the articles, and only the other is new to them."""
    sport = room.category("Sport", 3)
    one, other = room.reader(daily, [business]), room.reader(daily, [sport])
    room.choose(one, {business: daily.id, world: weekly.id})
    room.choose(other, {sport: daily.id, world: weekly.id})
    room.article([business, world], "business")
    room.article([sport, world], "sport")
    room.manual(daily)
    run = room.manual(weekly)
    sent = {reader: room.titles(got) for reader, got in room.sent(run).items()}
    assert sent == {one: [["sport"]], other: [["business"]]}


def test_what_is_taken_up_again_while_the_mail_waits_comes_with_the_next(
    room: Newsroom, daily: Cadence, business: int, world: int
) -> None:
    reader = room.reader(daily, [business, world])
    room.choose(reader, {world: daily.id})
    room.article([business], "business")
    room.article([world], "world")
    run = room.manual(daily)
    reading = open_reading(room.session, reader, room.now)
    reading.restore(next(row for row in reading.rows if row.category_id == business), room.session)
    reading.store(room.session)
    assert room.titles(room.sent(run)[reader]) == [["world"]]
    assert room.titles(room.sent(room.manual(daily))[reader]) == [["business"]]


def test_what_a_later_run_sent_is_not_in_a_mail_that_waited_longer(
    room: Newsroom, daily: Cadence, weekly: Cadence, business: int, world: int
) -> None:
    reader = room.reader(daily, [world])
    room.choose(reader, {world: daily.id, business: weekly.id})
    room.article([business], "business")
    room.article([world], "world")
    waiting = room.manual(daily)
    room.choose(reader, {world: daily.id, business: daily.id})
    assert room.titles(room.sent(room.manual(daily))[reader]) == [["business"]]
    assert room.titles(room.sent(waiting)[reader]) == [["world"]]


def test_a_cut_lies_above_all_that_was_read_before_it(
    room: Newsroom, daily: Cadence, weekly: Cadence, business: int, world: int
) -> None:
    """What ended at the last article there was, before a run that found no later one, had no part in that run."""
    room.reader(daily, [business])
    reader = room.reader(daily, [business], "Asia/Tokyo")
    room.choose(reader, {business: daily.id, world: weekly.id})
    room.article([world], "world")
    room.article([business], "business")
    wave = room.now - datetime.timedelta(hours=5)
    tokyo = opening.open_run(room.session, daily, "2026-11-23", wave, ["Asia/Tokyo"], room.now)
    assert tokyo is not None
    room.plan(tokyo)
    assert room.titles(room.sent(tokyo)[reader]) == [["business"]]
    room.choose(reader, {business: weekly.id, world: daily.id})
    wish = preferences.Wish(timezone="Europe/Berlin")
    preferences.change(room.session, reader, wish, room.now, consent.NOWHERE)
    room.session.flush()
    berlin = opening.open_run(room.session, daily, "2026-11-23", room.now, ["Europe/Berlin"], room.now)
    assert berlin is not None
    room.plan(berlin)
    assert room.titles(room.sent(berlin)[reader]) == [["world"]]
