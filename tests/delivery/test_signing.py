"""Who signs mail from an address: the keys of its domain that are active at this moment."""

import pytest
from flask import Flask

from newsletter.delivery.signing import signer_for
from newsletter.foundation.db import db, transaction
from newsletter.foundation.services import services
from newsletter.mail.dkim import Signer
from newsletter.publication import dkim, identity
from newsletter.publication.models import DkimKey, KeyAlgorithm
from tests.conftest import NOW
from tests.mail import signing


@pytest.fixture
def key(app: Flask) -> DkimKey:
    """A key that waits."""
    with transaction() as session:
        identity.create(session, identity.Identity("The Gazette", "https://gazette.example"), NOW)
        return dkim.generate(session, services().vault, "gazette.example", NOW)


def signer(address: str = "news@gazette.example") -> Signer | None:
    return signer_for(db.session(), services().vault, address)


def test_mail_stays_unsigned_until_a_key_of_the_senders_domain_is_active(key: DkimKey) -> None:
    assert signer() is None
    with transaction() as session:
        dkim.activate(session, key, NOW)
    assert signer() is not None
    assert signer("News@GAZETTE.example") is not None
    assert signer("news@sub.gazette.example") is None
    with transaction() as session:
        dkim.retire(session, key, NOW)
    assert signer() is None


def test_the_next_call_knows_what_operators_changed(key: DkimKey) -> None:
    fields = signing.fields_of(b"From: News <news@gazette.example>\r\n")

    def selectors() -> list[bytes]:
        found = signer()
        assert found is not None
        return [field.line.partition(b" s=")[2].partition(b";")[0] for field in found.sign(fields, bytes(32), NOW)]

    with transaction() as session:
        dkim.activate(session, key, NOW)
    assert selectors() == [b"nl202611"]
    with transaction() as session:
        following = dkim.generate(session, services().vault, "gazette.example", NOW)
        beside = dkim.generate(
            session, services().vault, "gazette.example", NOW, selector="ed", algorithm=KeyAlgorithm.ED25519
        )
        dkim.activate(session, beside, NOW)
        dkim.activate(session, following, NOW)
    assert selectors() == [b"nl202611-2", b"ed"]
