"""The button: harmless to repeat, worthless to look at, and the only way to mail."""

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DatabaseError

from newsletter.audience import confirmation, consent, marks, signup, subscribers, suppression
from newsletter.audience.confirmation import ConfirmationState
from newsletter.audience.models import (
    Confirmation,
    Consent,
    SignupOutcome,
    Subscriber,
    Subscription,
    SuppressionReason,
)
from newsletter.foundation.db import transaction
from newsletter.foundation.errors import NotFoundError
from tests.audience.conftest import DAILY, DAY, HOUR, MINUTE, SOURCE, WEEKLY, Room
from tests.conftest import NOW


def everything(room: Room) -> list[object]:
    tables = (
        "subscribers",
        "subscriptions",
        "consents",
        "confirmations",
        "suppressions",
        "mail_caps",
        "changes",
        "cuts",
    )
    return [room.session.execute(text(f"SELECT * FROM {table} ORDER BY 1")).all() for table in tables]


def asked(room: Room, **wish: object) -> int:
    room.request(**wish)  # type: ignore[arg-type]  # passed on as they are
    room.process()
    return room.asked()[-1].id


def test_looking_changes_nothing_and_shows_the_words_once_more(room: Room) -> None:
    id_ = asked(room, affiliate=True)
    before = everything(room)
    view = confirmation.look(room.session, id_, NOW)
    assert everything(room) == before
    assert view.state is ConfirmationState.READY
    assert view.masked == "a•••@e•••.org"
    assert (view.category_ids, view.cadence_id, view.language) == ((1, 2), DAILY, "en")
    assert [words.text for words in view.texts] == [words.text for words in room.texts]
    assert [words.affiliate for words in view.texts] == [None, "acme"]


def test_the_button_makes_active_what_was_asked_for_and_says_so_in_the_record(room: Room) -> None:
    id_ = asked(room, affiliate=True, timezone="Asia/Tokyo", name="Ann Lee", language="de")
    view = room.confirm(id_, NOW + HOUR)
    assert view.state is ConfirmationState.CONFIRMED
    assert room.choices(view.subscriber_id) == {1: DAILY, 2: DAILY}
    reader = subscribers.get(room.session, view.subscriber_id)
    assert (reader.name, reader.timezone, reader.language) == ("Ann Lee", "Asia/Tokyo", "de")
    assert reader.confirmed_at == NOW + HOUR
    lines = consent.proof(room.session, view.subscriber_id)
    assert [(line.purpose, line.act.value, line.at) for line in lines] == [
        ("newsletter", "given", NOW),
        ("affiliate:acme", "given", NOW),
        ("newsletter", "confirmed", NOW + HOUR),
        ("affiliate:acme", "confirmed", NOW + HOUR),
    ]
    assert {line.confirmation_id for line in lines} == {id_}
    assert "Acme Books" in lines[1].text


def test_second_confirmation_changes_nothing(room: Room) -> None:
    id_ = asked(room)
    room.confirm(id_)
    before = everything(room)
    assert room.confirm(id_, NOW + DAY).state is ConfirmationState.CONFIRMED
    assert room.confirm(id_, NOW + 30 * DAY).state is ConfirmationState.CONFIRMED
    assert everything(room) == before


def test_an_old_confirmed_link_brings_nobody_back_who_has_left(room: Room) -> None:
    from newsletter.audience import leaving

    id_ = asked(room)
    reader = room.confirm(id_).subscriber_id
    with transaction() as session:
        leaving.leave_all(session, reader, NOW + HOUR, SOURCE)
    room.confirm(id_, NOW + 2 * HOUR)
    assert room.choices(reader) == {}


def test_an_expired_link_confirms_nothing_and_offers_a_new_mail(room: Room) -> None:
    id_ = asked(room)
    late = NOW + 2 * DAY
    before = everything(room)
    assert room.confirm(id_, late).state is ConfirmationState.EXPIRED
    assert everything(room) == before
    with transaction() as session:
        assert confirmation.ask_again(session, room.hasher, id_, late) is SignupOutcome.CONFIRMATION
        assert confirmation.ask_again(session, room.hasher, id_, late + MINUTE) is SignupOutcome.CAPPED
    first, second = room.asked()
    assert second.wanted == first.wanted
    assert room.confirm(second.id, late + HOUR).state is ConfirmationState.CONFIRMED
    assert room.choices(second.subscriber_id) == {1: DAILY, 2: DAILY}
    with transaction() as session:
        assert confirmation.ask_again(session, room.hasher, second.id, late + DAY) is SignupOutcome.ALREADY


def test_asking_again_counts_under_the_caps_of_the_mailbox(room: Room) -> None:
    id_ = asked(room)
    got = []
    for minutes in range(0, 24 * 60, 20):
        with transaction() as session:
            got.append(confirmation.ask_again(session, room.hasher, id_, NOW + minutes * MINUTE))
    assert got.count(SignupOutcome.CONFIRMATION) == 2


def test_whoever_it_was_not_is_never_asked_again(room: Room) -> None:
    id_ = asked(room)
    with transaction() as session:
        assert confirmation.refuse(session, id_, NOW).state is ConfirmationState.REFUSED
        assert confirmation.refuse(session, id_, NOW + DAY).state is ConfirmationState.REFUSED
        assert confirmation.ask_again(session, room.hasher, id_, NOW + 2 * DAY) is SignupOutcome.SUPPRESSED
    assert room.confirm(id_, NOW + HOUR).state is ConfirmationState.REFUSED
    reader = room.asked()[0].subscriber_id
    assert room.subscriptions(reader) == []
    assert room.acts(reader) == [("newsletter", "given")]
    room.request(now=NOW + 60 * DAY)
    room.process(NOW + 60 * DAY)
    assert len(room.asked()) == 1
    with transaction() as session:
        assert suppression.lift(session, room.hasher, "Ann@example.org")
    room.request(now=NOW + 61 * DAY)
    room.process(NOW + 61 * DAY)
    assert len(room.asked()) == 2


def test_refusing_ends_every_open_request_of_the_address(room: Room) -> None:
    first = asked(room)
    room.request(now=NOW + HOUR, categories=(3,))
    room.process(NOW + HOUR)
    with transaction() as session:
        confirmation.refuse(session, first, NOW + HOUR)
    second = room.asked()[-1].id
    assert room.confirm(second, NOW + HOUR).state is ConfirmationState.REFUSED


def test_a_reader_who_refuses_more_keeps_what_they_have(room: Room) -> None:
    reader = room.reader(now=NOW - DAY)
    room.request(categories=(3,))
    room.process()
    with transaction() as session:
        confirmation.refuse(session, room.asked()[-1].id, NOW)
        assert not suppression.is_suppressed(session, room.hasher, "ann@example.org")
    assert room.choices(reader) == {1: DAILY, 2: DAILY}
    room.request(now=NOW + DAY, categories=(4,))
    room.process(NOW + DAY)
    assert len(room.asked()) == 2, "no more mails that ask"
    with transaction() as session:
        assert suppression.lift(session, room.hasher, "ann@example.org")
    room.request(now=NOW + 2 * DAY, categories=(4,))
    room.process(NOW + 2 * DAY)
    assert len(room.asked()) == 3


def test_refusing_what_was_confirmed_ends_nothing(room: Room) -> None:
    id_ = asked(room)
    reader = room.confirm(id_).subscriber_id
    with transaction() as session:
        assert confirmation.refuse(session, id_, NOW + HOUR).state is ConfirmationState.CONFIRMED
    assert room.choices(reader) == {1: DAILY, 2: DAILY}


def test_an_address_suppressed_meanwhile_cannot_be_confirmed(room: Room) -> None:
    id_ = asked(room)
    with transaction() as session:
        suppression.suppress(session, room.hasher, "example.org", SuppressionReason.OPERATOR, NOW)
    assert room.confirm(id_).state is ConfirmationState.REFUSED
    assert room.choices(room.asked()[0].subscriber_id) == {}


def test_a_link_acts_on_its_own_row_only(room: Room) -> None:
    room.request("bob@example.org", categories=(4,))
    mine = asked(room)
    room.confirm(mine)
    (bobs,) = room.asked("bob@example.org")
    assert bobs.confirmed_at is None
    assert room.choices(bobs.subscriber_id) == {}


def test_a_link_whose_sign_up_was_removed_says_so(room: Room) -> None:
    id_ = asked(room)
    with transaction() as session:
        session.delete(session.get_one(Subscriber, room.asked()[0].subscriber_id))
    with pytest.raises(NotFoundError, match="sign up"):
        confirmation.look(room.session, id_, NOW)
    with pytest.raises(NotFoundError, match="sign up"):
        room.confirm(id_)
    with pytest.raises(NotFoundError, match="sign up"), transaction() as session:
        confirmation.refuse(session, id_, NOW)
    with pytest.raises(NotFoundError), transaction() as session:
        confirmation.ask_again(session, room.hasher, 10**9, NOW)


def test_coming_back_makes_new_rows_and_takes_the_new_zone(room: Room) -> None:
    from newsletter.audience import leaving

    reader = room.reader(now=NOW - 2 * DAY)
    with transaction() as session:
        leaving.leave_all(session, reader, NOW - DAY, SOURCE)
    again = room.reader(categories=(2, 3), cadence=WEEKLY, timezone="Asia/Tokyo")
    assert again == reader
    assert room.choices(reader) == {2: WEEKLY, 3: WEEKLY}
    assert [row.state.value for row in room.subscriptions(reader)] == ["ended", "ended", "active", "active"]
    assert subscribers.get(room.session, reader).timezone == "Asia/Tokyo"


def test_a_reader_who_asks_for_more_keeps_zone_language_and_name(room: Room) -> None:
    reader = room.reader(now=NOW - DAY, timezone="Asia/Tokyo", language="de", name="Ann")
    room.request(categories=(3,), timezone="Europe/Berlin", language="fr", name="Somebody")
    room.process()
    room.confirm(room.asked()[-1].id)
    one = subscribers.get(room.session, reader)
    assert (one.timezone, one.language, one.name) == ("Asia/Tokyo", "de", "Ann")
    assert room.choices(reader) == {1: DAILY, 2: DAILY, 3: DAILY}


@pytest.mark.parametrize("statement", ["UPDATE consents SET act = 'withdrawn'", "UPDATE consents SET ip = ip"])
def test_the_database_refuses_to_rewrite_consent(room: Room, statement: str) -> None:
    reader = room.reader()
    before = room.acts(reader)
    with pytest.raises(DatabaseError, match="append-only"), transaction() as session:
        session.execute(text(statement))
    assert room.acts(reader) == before


def test_nothing_is_active_without_a_confirmed_consent(room: Room) -> None:
    """Whatever the acts of this room did in the test's history, by one query over all readers."""
    room.reader("a@example.org")
    asked(room, address="b@example.org")
    confirmed = select(Consent.subscriber_id).where(Consent.act == "confirmed", Consent.purpose == "newsletter")
    active = select(func.count()).where(Subscription.state == "active")
    assert room.session.scalar(active) == 2
    assert room.session.scalar(active.where(Subscription.subscriber_id.not_in(confirmed))) == 0


def test_an_empty_wish_confirms_consent_and_nothing_more(room: Room) -> None:
    id_ = asked(room, categories=())
    reader = room.confirm(id_).subscriber_id
    assert room.choices(reader) == {}
    with transaction() as session:
        reading = marks.open_reading(session, reader, NOW)
        assert reading.active == []


def test_the_request_row_never_becomes_consent_by_itself(room: Room) -> None:
    room.request()
    assert room.session.scalar(select(func.count(Consent.id))) == 0
    assert room.session.scalar(select(func.count(Confirmation.id))) == 0
    assert signup.STRANGER.confirmed is False
