"""The words: exact, versioned, in the reader's language; and no more of the client than the settings allow."""

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.audience import consent
from newsletter.audience.models import ConsentText
from newsletter.foundation.db import transaction
from newsletter.foundation.errors import InvalidError
from newsletter.publication import affiliates, identity
from tests.audience.conftest import Room
from tests.conftest import NOW


def test_words_are_stored_once_and_a_change_is_a_new_version(room: Room) -> None:
    publication = identity.load(room.session)
    offered = affiliates.listed(room.session)
    assert consent.find_texts(room.session, publication, offered, "en") == room.texts
    renamed = replace(publication, name="The Herald")
    assert consent.find_texts(room.session, renamed, offered, "en") is None
    with transaction() as session:
        again = consent.current_texts(session, publication, offered, "en", NOW)
        new = consent.current_texts(session, renamed, offered, "en", NOW)
        back = consent.current_texts(session, publication, offered, "en", NOW)
    assert again == back == room.texts
    assert not {words.id for words in new} & {words.id for words in room.texts}
    row = room.session.get_one(ConsentText, new[0].id)
    assert row.version == 2
    assert row.sha256 == hashlib.sha256(new[0].text.encode()).hexdigest()
    assert "The Herald" in new[0].text


def test_each_language_has_its_own_words_and_versions(room: Room) -> None:
    publication = identity.load(room.session)
    with transaction() as session:
        german = consent.current_texts(session, publication, [], "de", NOW)
    row = room.session.get_one(ConsentText, german[0].id)
    assert (row.language, row.version) == ("de", 1)


def test_only_words_of_ours_can_be_agreed_to(room: Room) -> None:
    newsletter, acme = room.texts
    offered = affiliates.listed(room.session)
    assert consent.agreed(room.session, [newsletter.id, acme.id, 999], offered) == [newsletter.id, acme.id]
    assert consent.agreed(room.session, [newsletter.id, acme.id], []) == [newsletter.id], "no longer offered"
    for ids in ([], [acme.id], [999]):
        with pytest.raises(InvalidError, match="tick"):
            consent.agreed(room.session, ids, offered)


@pytest.mark.parametrize(
    ("ip", "kept"),
    [
        ("203.0.113.77", "203.0.113.0"),
        ("2001:db8:1234:5678::1", "2001:db8:1234::"),
        ("::ffff:203.0.113.77", "203.0.113.0"),
        ("fe80::1%eth0", "fe80::"),
        ("unknown", ""),
        ("", ""),
    ],
)
def test_an_ip_address_is_kept_as_its_network(ip: str, kept: str) -> None:
    assert consent.truncated(ip) == kept
    assert consent.client("f", "p", ip, "Browser/1", keep=True) == consent.Client("f", "p", kept, "Browser/1")
    assert consent.client("f", "p", ip, "Browser/1", keep=False) == consent.Client("f", "p")


@given(st.text(), st.text(), st.ip_addresses(), st.text(max_size=500))
def test_whatever_a_client_sends_fits_and_is_cut(form: str, page: str, ip: object, agent: str) -> None:
    kept = consent.client(form, page, str(ip), agent, keep=True)
    assert len(kept.form) <= 60
    assert len(kept.page) <= 2000
    assert len(kept.user_agent) <= 300
    assert kept.ip.endswith((".0", "::"))
