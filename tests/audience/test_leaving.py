"""Leaving is at once, harmless to repeat, and can be taken back to the letter."""

import pytest
from sqlalchemy import func, select

from newsletter.audience import consent, leaving, preferences, subscribers, suppression, undoing
from newsletter.audience.models import Change, EndedReason, Subscriber, SuppressionReason
from newsletter.audience.preferences import Wish
from newsletter.foundation.db import transaction
from newsletter.foundation.errors import ConflictError, InvalidError, NotFoundError
from tests.audience.conftest import DAILY, DAY, HOUR, SOURCE, WEEKLY, Room
from tests.conftest import NOW


def leave(room: Room, reader: int, cadence: int | None = None, now=NOW) -> leaving.Left:  # type: ignore[no-untyped-def]  # a datetime
    with transaction() as session:
        if cadence is None:
            return leaving.leave_all(session, reader, now, SOURCE)
        return leaving.leave_cadence(session, reader, cadence, now, SOURCE)


def undo(room: Room, change_id: int | None, now=NOW) -> int:  # type: ignore[no-untyped-def]  # a datetime
    assert change_id is not None
    with transaction() as session:
        return undoing.undo(session, change_id, now, SOURCE)


def both(room: Room, address: str = "ann@example.org") -> int:
    """A reader of 1 and 2 daily and of 3 weekly."""
    room.reader(address, NOW - DAY)
    return room.reader(address, NOW - HOUR, categories=(3,), cadence=WEEKLY)


def test_one_click_ends_that_list_and_no_other(room: Room) -> None:
    reader, other = both(room), both(room, "bob@example.org")
    left = leave(room, reader, DAILY)
    assert left.category_ids == (1, 2)
    assert left.remaining == {3: WEEKLY} == room.choices(reader)
    assert left.masked == "a•••@e•••.org"
    assert room.choices(other) == {1: DAILY, 2: DAILY, 3: WEEKLY}
    ended = [row for row in room.subscriptions(reader) if row.ended_at]
    assert {(row.ended_reason, row.ended_at) for row in ended} == {(EndedReason.LEFT, NOW)}
    assert all(row.mark is not None for row in ended)
    assert ("newsletter", "withdrawn") not in room.acts(reader), "the weekly goes on"


def test_leaving_the_last_list_takes_the_consent_back(room: Room) -> None:
    reader = both(room)
    leave(room, reader, DAILY)
    leave(room, reader, WEEKLY)
    assert room.acts(reader)[-1] == ("newsletter", "withdrawn")
    assert consent.standing(room.session, [reader]) == {reader: {}}


def test_leaving_twice_ends_nothing_more_and_offers_the_same_way_back(room: Room) -> None:
    reader = both(room)
    first = leave(room, reader, DAILY)
    before = room.acts(reader)
    again = leave(room, reader, DAILY, NOW + HOUR)
    assert again == leaving.Left(first.change_id, first.masked, (), {3: WEEKLY})
    assert room.session.scalar(select(func.count(Change.id))) == 1
    assert room.acts(reader) == before


def test_leaving_works_for_whoever_was_erased_or_never_was(room: Room) -> None:
    reader = both(room)
    with transaction() as session:
        session.delete(session.get_one(Subscriber, reader))
    for cadence in (None, DAILY, 99):
        assert leave(room, reader, cadence) == leaving.Left(None, "", (), {})


def test_leaving_everything_takes_back_affiliates_too_and_undoing_restores_them(room: Room) -> None:
    reader = room.reader(affiliate=True)
    left = leave(room, reader)
    assert room.choices(reader) == {}
    assert consent.standing(room.session, [reader])[reader] == {}
    assert undo(room, left.change_id, NOW + 7 * DAY) == reader
    assert room.choices(reader) == {1: DAILY, 2: DAILY}
    assert set(consent.standing(room.session, [reader])[reader]) == {"newsletter", "affiliate:acme"}


def test_undoing_twice_changes_nothing(room: Room) -> None:
    reader = both(room)
    left = leave(room, reader)
    undo(room, left.change_id)
    before = room.choices(reader), room.acts(reader)
    undo(room, left.change_id, NOW + 30 * DAY)
    assert (room.choices(reader), room.acts(reader)) == before


def test_undoing_brings_back_what_that_act_ended_and_not_what_another_did(room: Room) -> None:
    reader = both(room)
    leave(room, reader, WEEKLY)
    left = leave(room, reader, DAILY, NOW + HOUR)
    undo(room, left.change_id)
    assert room.choices(reader) == {1: DAILY, 2: DAILY}


def test_undoing_leaves_a_category_that_was_chosen_anew_as_it_is(room: Room) -> None:
    reader = both(room)
    left = leave(room, reader)
    room.reader("ann@example.org", NOW + DAY, categories=(1,), cadence=WEEKLY)
    undo(room, left.change_id, NOW + DAY)
    assert room.choices(reader) == {1: WEEKLY, 2: DAILY, 3: WEEKLY}


def test_a_strangers_sign_up_does_not_bar_the_way_back(room: Room) -> None:
    reader = both(room)
    left = leave(room, reader, DAILY)
    room.request(now=NOW + HOUR, categories=(1,), cadence=WEEKLY)
    room.process(NOW + HOUR)
    undo(room, left.change_id, NOW + HOUR)
    assert room.choices(reader) == {1: DAILY, 2: DAILY, 3: WEEKLY}
    room.confirm(room.asked()[-1].id, NOW + HOUR)
    assert room.choices(reader) == {1: WEEKLY, 2: DAILY, 3: WEEKLY}


def test_words_given_but_not_confirmed_do_not_bar_the_way_back(room: Room) -> None:
    reader = both(room)
    left = leave(room, reader)
    room.request(now=NOW + HOUR, categories=(4,))
    room.process(NOW + HOUR)
    undo(room, left.change_id, NOW + HOUR)
    assert room.choices(reader) == {1: DAILY, 2: DAILY, 3: WEEKLY}
    assert consent.NEWSLETTER in consent.standing(room.session, [reader])[reader]


def test_the_way_back_closes_after_seven_days(room: Room) -> None:
    reader = both(room)
    left = leave(room, reader)
    with pytest.raises(ConflictError, match="7 days"):
        undo(room, left.change_id, NOW + 7 * DAY + HOUR)
    assert room.choices(reader) == {}


def test_a_suppressed_address_has_no_way_back(room: Room) -> None:
    reader = both(room)
    left = leave(room, reader)
    with transaction() as session:
        suppression.suppress(session, room.hasher, "ann@example.org", SuppressionReason.COMPLAINT, NOW)
    with pytest.raises(ConflictError):
        undo(room, left.change_id)
    assert room.choices(reader) == {}


def test_undoing_an_older_act_never_brings_mail_without_consent(room: Room) -> None:
    reader = both(room)
    older = leave(room, reader, DAILY)
    leave(room, reader, None, NOW + HOUR)
    with pytest.raises(ConflictError, match="sign up"):
        undo(room, older.change_id, NOW + 2 * HOUR)
    assert room.choices(reader) == {}


def test_undoing_what_is_not_there_says_so(room: Room) -> None:
    with pytest.raises(NotFoundError):
        undo(room, 12345)


def test_choosing_fewer_slower_or_a_pause_can_be_undone(room: Room) -> None:
    reader = both(room)
    before = room.choices(reader)
    for number, choices in enumerate(({1: DAILY, 3: WEEKLY}, {1: WEEKLY, 2: WEEKLY, 3: WEEKLY}, {4: DAILY})):
        now = NOW + number * HOUR
        with transaction() as session:
            change = preferences.change(session, reader, Wish(choices=choices), now, SOURCE)
        assert room.choices(reader) == choices
        undo(room, change, now)
        assert room.choices(reader) == before
    with transaction() as session:
        paused = preferences.pause(session, reader, NOW, NOW + DAY)
    undo(room, paused)
    assert not preferences.look(room.session, reader).paused


def test_preferences_show_what_is_and_change_what_is_wished(room: Room) -> None:
    reader = both(room)
    wish = Wish(choices={1: WEEKLY, 4: DAILY}, timezone="Asia/Tokyo", language="de", name="  Ann \n Lee ")
    with transaction() as session:
        preferences.change(session, reader, wish, NOW, SOURCE)
    shown = preferences.look(room.session, reader)
    assert shown.choices == {1: WEEKLY, 4: DAILY}
    assert (shown.timezone, shown.language, shown.name) == ("Asia/Tokyo", "de", "Ann Lee")
    assert shown.masked == "a•••@e•••.org"
    assert shown.consents.keys() == {"newsletter"}
    reasons = {row.category_id: row.ended_reason for row in room.subscriptions(reader) if row.ended_at}
    assert reasons == dict.fromkeys((1, 2, 3), EndedReason.CHANGED)


def test_saving_what_is_already_so_changes_nothing(room: Room) -> None:
    reader = both(room)
    before = len(room.subscriptions(reader))
    with transaction() as session:
        assert preferences.change(session, reader, Wish(choices=room.choices(reader)), NOW, SOURCE) is None
    assert len(room.subscriptions(reader)) == before


def test_choosing_nothing_is_leaving_and_can_be_undone(room: Room) -> None:
    reader = both(room)
    with transaction() as session:
        change = preferences.change(session, reader, Wish(choices={}), NOW, SOURCE)
    assert room.acts(reader)[-1] == ("newsletter", "withdrawn")
    undo(room, change)
    assert room.choices(reader) == {1: DAILY, 2: DAILY, 3: WEEKLY}


def test_who_has_left_comes_back_by_signing_up_only(room: Room) -> None:
    reader = both(room)
    leave(room, reader)
    with pytest.raises(ConflictError, match="sign up"), transaction() as session:
        preferences.change(session, reader, Wish(choices={1: DAILY}), NOW, SOURCE)
    assert room.choices(reader) == {}


@pytest.mark.parametrize(
    "wish",
    [
        Wish(choices={99: DAILY}),
        Wish(choices={1: 99}),
        Wish(timezone="Mars/Olympus"),
        Wish(timezone="../../etc/passwd"),
        Wish(language="xx"),
    ],
)
def test_what_is_not_offered_cannot_be_wished(room: Room, wish: Wish) -> None:
    reader = both(room)
    with pytest.raises(InvalidError), transaction() as session:
        preferences.change(session, reader, wish, NOW, SOURCE)
    assert room.choices(reader) == {1: DAILY, 2: DAILY, 3: WEEKLY}


def test_a_pause_ends_by_itself_when_its_time_is_over(room: Room) -> None:
    reader, other = both(room), both(room, "bob@example.org")
    with transaction() as session:
        preferences.pause(session, reader, NOW, NOW + 14 * DAY)
        preferences.pause(session, other, NOW)
    assert all(row.mark is not None for row in room.subscriptions(reader))
    with transaction() as session:
        assert preferences.resume_due(session, NOW + 13 * DAY) == 0
        assert preferences.resume_due(session, NOW + 14 * DAY) == 1
    session = room.session
    session.expire_all()
    assert not preferences.look(session, reader).paused
    assert preferences.look(session, other).paused
    with transaction() as session:
        preferences.resume(session, other, NOW)
    assert not preferences.look(room.session, other).paused


def test_a_pause_has_an_end_in_sight(room: Room) -> None:
    reader = both(room)
    for until in (NOW, NOW - DAY, NOW + 400 * DAY):
        with pytest.raises(InvalidError), transaction() as session:
            preferences.pause(session, reader, NOW, until)


def test_affiliates_are_agreed_to_and_taken_back_one_by_one(room: Room) -> None:
    reader = both(room)
    newsletter, acme = room.texts
    for _ in range(2):
        with transaction() as session:
            preferences.agree(session, reader, acme, NOW, SOURCE)
    assert room.acts(reader)[-2:] == [("affiliate:acme", "given"), ("affiliate:acme", "confirmed")]
    assert len(room.acts(reader)) == 6
    with transaction() as session:
        assert preferences.withdraw(session, reader, "acme", NOW, SOURCE)
        assert not preferences.withdraw(session, reader, "acme", NOW, SOURCE)
    assert room.acts(reader)[-1] == ("affiliate:acme", "withdrawn")
    assert consent.standing(room.session, [reader])[reader].keys() == {"newsletter"}
    with pytest.raises(ConflictError), transaction() as session:
        preferences.agree(session, reader, newsletter, NOW, SOURCE)


def test_who_never_confirmed_cannot_agree_to_anything(room: Room) -> None:
    room.request()
    room.process()
    with pytest.raises(ConflictError), transaction() as session:
        preferences.agree(session, room.asked()[0].subscriber_id, room.texts[1], NOW, SOURCE)


def test_operators_find_readers_by_the_beginning_of_their_address(room: Room) -> None:
    for address in ("ann@example.org", "Anna@example.org", "bob@example.org", "a_n@example.org", "a%n@example.org"):
        room.reader(address)
    session = room.session
    assert [row.address for row in subscribers.listed(session, prefix=" ANN")] == [
        "ann@example.org",
        "Anna@example.org",
    ]
    assert [row.address for row in subscribers.listed(session, prefix="a%")] == ["a%n@example.org"]
    seen, after = [], ""
    while page := subscribers.listed(session, after=after, limit=2):
        seen += [row.id for row in page]
        after = page[-1].cursor
    assert sorted(seen) == sorted(set(seen))
    assert len(seen) == 5
    found = subscribers.by_address(session, " ANNA@example.org ")
    assert found is not None
    record = subscribers.shown(session, found.id)
    assert [choice.category_id for choice in record.subscriptions] == [1, 2]
    assert [line.act.value for line in record.consents] == ["given", "confirmed"]
    with pytest.raises(NotFoundError):
        subscribers.shown(session, 999)
