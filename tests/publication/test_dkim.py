"""A key's life: each state, each act upon it, and what signs at any time."""

import base64
import datetime
import functools
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import load_der_public_key
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from newsletter.foundation.db import db, transaction
from newsletter.foundation.errors import ConflictError, InvalidError, NotFoundError
from newsletter.foundation.services import services
from newsletter.mail.dkim import VALID_FOR
from newsletter.publication import dkim, identity
from newsletter.publication import dkim_records as records
from newsletter.publication.dkim import Act, KeyState
from newsletter.publication.models import DkimKey, KeyAlgorithm
from tests.conftest import NOW

DOMAIN = "gazette.example"
DAY = datetime.timedelta(days=1)
CACHED = functools.cache(generate_private_key)
MOMENT = datetime.timedelta(microseconds=1)


@pytest.fixture
def room(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Session:
    """A database with a publication, and a key of another domain that signs and must never matter."""
    return furnished(monkeypatch)


@pytest.fixture
def each_room(app_on_each: Flask, monkeypatch: pytest.MonkeyPatch) -> Session:
    """The same on SQLite, then on PostgreSQL."""
    return furnished(monkeypatch)


def furnished(monkeypatch: pytest.MonkeyPatch) -> Session:
    # Finding primes takes longer than all the rest: these keys are real, but one.
    monkeypatch.setattr(records, "generate_private_key", CACHED)
    with transaction() as session:
        identity.create(session, identity.Identity("The Gazette", "https://gazette.example"), NOW)
        noise = make(session, "noise", domain="quay.example")
        dkim.activate(session, noise, NOW - DAY)
    return db.session()


def make(session: Session, selector: str, algorithm: KeyAlgorithm = KeyAlgorithm.RSA, domain: str = DOMAIN) -> DkimKey:
    return dkim.generate(session, services().vault, domain, NOW, selector=selector, algorithm=algorithm)


def signing(session: Session, domain: str = DOMAIN) -> list[str]:
    return [key.selector for key in dkim.signing_keys(session, services().vault, domain)]


def bare(signing_from: datetime.datetime | None, retired_at: datetime.datetime | None) -> DkimKey:
    return DkimKey(selector="s", domain=DOMAIN, record="", signing_from=signing_from, retired_at=retired_at)


def test_a_key_waits_signs_retires_and_is_spent() -> None:
    spent = NOW + dkim.PUBLISHED_FOR
    assert dkim.state(bare(None, None), NOW) is KeyState.WAITING
    assert dkim.state(bare(NOW, None), NOW + 1000 * DAY) is KeyState.SIGNING
    assert dkim.state(bare(NOW - DAY, NOW), NOW) is KeyState.RETIRED
    assert dkim.state(bare(NOW - DAY, NOW), spent - MOMENT) is KeyState.RETIRED
    assert dkim.state(bare(NOW - DAY, NOW), spent) is KeyState.SPENT


def test_a_record_outlives_its_signatures_with_days_to_spare() -> None:
    assert dkim.PUBLISHED_FOR >= VALID_FOR + 2 * DAY
    assert dkim.PUBLISHED_FOR >= 7 * DAY  # standards A5


def test_each_act_is_allowed_in_just_these_states() -> None:
    allowed = {(act, state) for act, state in itertools.product(Act, KeyState) if dkim.why_not(act, state) is None}
    assert allowed == {
        (Act.ACTIVATE, KeyState.WAITING),
        (Act.ACTIVATE, KeyState.RETIRED),
        (Act.RETIRE, KeyState.SIGNING),
        (Act.REMOVE, KeyState.WAITING),
        (Act.REMOVE, KeyState.SPENT),
    }


@pytest.mark.parametrize("act", list(Act))
@pytest.mark.parametrize("state", list(KeyState))
def test_each_act_ends_in_its_state_or_changes_nothing(room: Session, act: Act, state: KeyState) -> None:
    do = {Act.ACTIVATE: dkim.activate, Act.RETIRE: dkim.retire, Act.REMOVE: dkim.remove}[act]
    with transaction() as session:
        key = make(session, "one")
        if state is not KeyState.WAITING:
            key.signing_from = NOW - 30 * DAY
        key.retired_at = {KeyState.RETIRED: NOW - DAY, KeyState.SPENT: NOW - 15 * DAY}.get(state)
    before = (key.signing_from, key.retired_at)
    if reason := dkim.why_not(act, state):
        with pytest.raises(ConflictError) as refused, transaction() as session:
            do(session, key, NOW)
        assert reason in str(refused.value)
        assert "gazette.example" in str(refused.value)
        room.refresh(key)
        assert (key.signing_from, key.retired_at) == before
        return
    with transaction() as session:
        do(session, key, NOW)
    if act is Act.REMOVE:
        with pytest.raises(NotFoundError):
            dkim.find(room, "one")
    else:
        room.refresh(key)
        assert dkim.state(key, NOW) is {Act.ACTIVATE: KeyState.SIGNING, Act.RETIRE: KeyState.RETIRED}[act]


def test_nothing_signs_before_somebody_said_that_the_record_is_published(room: Session) -> None:
    with transaction() as session:
        key = make(session, "one")
    assert signing(room) == []
    with transaction() as session:
        assert dkim.activate(session, key, NOW) is None
    assert signing(room) == ["one"]
    assert signing(room, "GAZETTE.example") == ["one"]
    assert signing(room, "sub.gazette.example") == signing(room, "example") == []


def test_the_next_key_retires_the_one_before_and_can_be_taken_back(each_room: Session) -> None:
    with transaction() as session:
        first, second = make(session, "one"), make(session, "two")
        dkim.activate(session, first, NOW)
    with transaction() as session:
        assert dkim.activate(session, second, NOW + DAY) is first
    assert signing(each_room) == ["two"]
    assert dkim.state(first, NOW + DAY) is KeyState.RETIRED
    with transaction() as session:
        assert dkim.activate(session, first, NOW + 2 * DAY) is second
    assert signing(each_room) == ["one"]
    assert dkim.wanted_record(first, NOW + 100 * DAY) == first.record
    assert dkim.wanted_record(second, NOW + 15 * DAY) == second.record
    assert dkim.wanted_record(second, NOW + 16 * DAY) == "v=DKIM1; k=rsa; p="
    assert signing(each_room, "quay.example") == ["noise"]


def test_ed25519_signs_only_beside_rsa(each_room: Session) -> None:
    with transaction() as session:
        rsa, beside = make(session, "one"), make(session, "ed", KeyAlgorithm.ED25519)
    with pytest.raises(ConflictError, match="activate an RSA key"), transaction() as session:
        dkim.activate(session, beside, NOW)
    with transaction() as session:
        dkim.activate(session, rsa, NOW)
        assert dkim.activate(session, beside, NOW) is None
    assert signing(each_room) == ["one", "ed"]
    with pytest.raises(ConflictError, match="retire ed first"), transaction() as session:
        dkim.retire(session, rsa, NOW)
    with transaction() as session:
        following = make(session, "two")
        assert dkim.activate(session, following, NOW) is rsa
    assert signing(each_room) == ["ed", "two"]
    with transaction() as session:
        dkim.retire(session, beside, NOW)
        dkim.retire(session, following, NOW)
    assert signing(each_room) == []


def test_the_database_lets_one_key_of_a_kind_sign(each_room: Session) -> None:
    with transaction() as session:
        dkim.activate(session, make(session, "one"), NOW)
        make(session, "two")
    with pytest.raises(IntegrityError), transaction() as session:
        session.execute(update(DkimKey).where(DkimKey.domain == DOMAIN).values(signing_from=NOW))


def test_operators_who_activate_at_once_take_turns(each_room: Session, app_on_each: Flask) -> None:
    selectors = [f"k{number}" for number in range(4)]
    with transaction() as session:
        for selector in selectors:
            make(session, selector)
    start = threading.Barrier(len(selectors))

    def press(selector: str) -> None:
        with app_on_each.app_context():
            key = dkim.find(db.session(), selector)
            start.wait()
            with transaction() as own:
                dkim.activate(own, key, NOW)

    with ThreadPoolExecutor(len(selectors)) as pool:
        assert list(pool.map(press, selectors)) == [None] * len(selectors)
    db.session.expire_all()
    states = [dkim.state(dkim.find(each_room, selector), NOW) for selector in selectors]
    assert sorted(states) == [KeyState.RETIRED] * 3 + [KeyState.SIGNING]


def test_what_signs_is_the_key_whose_record_is_published(room: Session) -> None:
    with transaction() as session:
        key = make(session, "one")
        dkim.activate(session, key, NOW)
    (stored,) = dkim.signing_keys(room, services().vault, DOMAIN)
    assert isinstance(stored.private, RSAPrivateKey)
    assert stored.private.key_size == 2048
    published = load_der_public_key(base64.b64decode(key.record.removeprefix("v=DKIM1; k=rsa; p=")))
    assert published == stored.private.public_key()


def test_a_private_key_is_sealed_and_never_shown(room: Session) -> None:
    with transaction() as session:
        key = make(session, "one")
        dkim.activate(session, key, NOW)
    assert "PRIVATE" not in key.sealed
    (stored,) = dkim.signing_keys(room, services().vault, DOMAIN)
    assert repr(stored) == "StoredKey(domain='gazette.example', selector='one')"
    assert key.sealed not in repr(key)


def test_a_key_that_cannot_be_opened_is_told_and_not_passed_over(room: Session) -> None:
    with transaction() as session:
        key = make(session, "one")
        dkim.activate(session, key, NOW)
        key.sealed = key.sealed[:-20] + "A" * 20
    with pytest.raises(InvalidError, match="data keys") as told:
        signing(room)
    assert key.sealed not in str(told.value)


def test_keys_are_found_by_selector_and_domain(room: Session) -> None:
    with transaction() as session:
        make(session, "one")
        make(session, "one", domain="quay.example")
    with pytest.raises(InvalidError, match=r"gazette\.example, quay\.example"):
        dkim.find(room, "one")
    assert dkim.find(room, "ONE", "Quay.example").domain == "quay.example"
    assert dkim.find(room, "noise").domain == "quay.example"
    with pytest.raises(NotFoundError, match="none of other"):
        dkim.find(room, "none", "other")


def test_selectors_tell_the_month_and_are_never_used_twice(room: Session) -> None:
    with transaction() as session:
        made = [make(session, "").selector for _ in range(3)]
        assert make(session, "", domain="quay.example").selector == "nl202611"
    assert made == ["nl202611", "nl202611-2", "nl202611-3"]
    with pytest.raises(ConflictError, match="already"), transaction() as session:
        make(session, "nl202611")


@pytest.mark.parametrize(
    ("selector", "domain"),
    [
        ("nl; p=", DOMAIN),
        ("nl_1", DOMAIN),
        ("-nl", DOMAIN),
        ("n" * 64, DOMAIN),
        ("a..b", DOMAIN),
        ("nl", ""),
        ("nl", "gazette.example\r\nd=evil"),
        ("nl", "gäzette.example"),
        ("nl", "gazette.example;"),
        ("nl", "news@gazette.example"),
        ("nl", "a." * 130 + "example"),
        ("n" * 63, "abcdefg." * 26 + "example"),
    ],
)
def test_names_that_the_dns_or_a_signature_cannot_hold_are_refused(app: Flask, selector: str, domain: str) -> None:
    with pytest.raises(InvalidError), transaction() as session:
        make(session, selector or "nl", domain=domain)


@given(st.text("abcXYZ0123456789+/=", max_size=1200))
def test_strings_join_to_the_value_and_are_never_too_long(value: str) -> None:
    parts = records.strings(value)
    assert "".join(parts) == value
    assert all(0 < len(part) <= 255 for part in parts)


def test_the_line_for_a_zone_file_is_read_back_as_the_record() -> None:
    key = records.new_key(KeyAlgorithm.RSA)
    value = records.record(key)
    line = records.zone_line("nl202611._domainkey.gazette.example", value)
    assert line.startswith('nl202611._domainkey.gazette.example. IN TXT ( "v=DKIM1; k=rsa; p=')
    parts = line.partition("( ")[2].removesuffix(" )").split('" "')
    assert "".join(parts).strip('"') == value
