"""Who signs mail from an address: the keys of its domain that are active at this moment."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from newsletter.delivery.drafts import Draft
from newsletter.delivery.models import Delivery, Mailing, Reason
from newsletter.delivery.signers import Signers
from newsletter.delivery.signing import signer_for
from newsletter.foundation.db import db, transaction
from newsletter.foundation.services import services
from newsletter.mail.dkim import Signer
from newsletter.publication import dkim, identity
from newsletter.publication.models import DkimKey, KeyAlgorithm
from tests.conftest import NOW
from tests.delivery import world
from tests.delivery.sink import Sink
from tests.mail import signing, verifying
from tests.servers.postfix import PostfixServer


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
        return [field.line.partition(b" s=")[2].partition(b";")[0] for field in signing.sign(found, fields)]

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


@pytest.mark.postfix
def test_a_run_is_signed_and_verifies_as_a_relay_delivered_it(
    app: Flask, tmp_path: Path, postfix: PostfixServer
) -> None:
    world.build(7)
    with transaction() as session:
        key = dkim.generate(session, services().vault, "gazette.example.org", NOW, selector="one")
        dkim.activate(session, key, NOW)
    world.start()
    there = set(postfix.mails())
    engine = world.engine(app, tmp_path / "j", postfix.port)
    assert engine.run(bulk=True, seconds=30).sent == 7
    engine.close()
    delivered = [mail for mail in postfix.wait_for(len(there) + 7) if mail not in there]
    verdicts = verifying.by_dkimpy(delivered, {"one._domainkey.gazette.example.org": key.record})
    assert verifying.results(verdicts) == [["pass"]] * 7
    assert all({"list-unsubscribe", "list-unsubscribe-post"} <= set(mail[0].signed.split(":")) for mail in verdicts)
    assert len({mail.partition(b"\r\nMessage-ID: ")[2].partition(b"\r\n")[0] for mail in delivered}) == 7


@pytest.mark.postfix
def test_nothing_leaves_unsigned_because_a_key_cannot_be_opened(
    app: Flask, tmp_path: Path, postfix: PostfixServer
) -> None:
    world.build(2)
    with transaction() as session:
        key = dkim.generate(session, services().vault, "gazette.example.org", NOW, selector="one")
        dkim.activate(session, key, NOW)
        key.sealed = "gAAAAA" + key.sealed[6:][::-1]
    world.start()
    there = len(postfix.mails())
    engine = world.engine(app, tmp_path / "j", postfix.port)
    assert engine.run(bulk=True, seconds=5).sent == 0
    engine.close()
    assert len(postfix.mails()) == there
    assert world.states(db.session()) == {"planned": 2}
    assert "data keys" in db.session.scalars(select(Mailing.paused_because)).one()


def test_what_could_not_be_signed_fails_by_itself_and_is_accounted_for(
    app_on_each: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.build(40)
    world.sign()
    world.start()
    sign = Signers._sign

    def fail_once(signers: Signers, drafts: Sequence[Draft]) -> None:
        monkeypatch.setattr(Signers, "_sign", sign)
        raise RuntimeError("no more threads")

    monkeypatch.setattr(Signers, "_sign", fail_once)
    with Sink() as sink:
        engine = world.engine(app_on_each, tmp_path / "j", sink.port)
        sent = engine.run(bulk=True, seconds=30).sent
        engine.close()
    assert 0 < sent < 40
    assert world.states(db.session()) == {"accepted": sent, "failed": 40 - sent}
    assert set(db.session.scalars(select(Delivery.reason))) == {None, Reason.UNSENDABLE}
    assert len(sink.recipients) == sent
    assert all(content.startswith(b"DKIM-Signature: ") for _, _, content in sink.messages)
