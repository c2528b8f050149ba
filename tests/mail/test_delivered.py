"""Signed mail through a real Postfix: what lies in the reader's mailbox still verifies."""

import re
import smtplib

import pytest

from newsletter.foundation.ports import LOOPBACK
from newsletter.mail.dkim import Signer
from tests.mail import signing, verifying
from tests.mail.verifying import Verifier
from tests.servers.postfix import PostfixServer

pytestmark = pytest.mark.postfix
KEY = signing.key("nl202611")
SIGNER = Signer([KEY])


@pytest.fixture(scope="module")
def delivered(postfix: PostfixServer) -> list[bytes]:
    """Digests and system mails as they lie in the mailbox, in the order in which they were sent."""
    mails = [*signing.digests(SIGNER), *signing.system_mails(SIGNER)]
    with smtplib.SMTP(LOOPBACK, postfix.port, timeout=30) as client:
        for mail in mails:
            extras = () if mail.isascii() else ("SMTPUTF8", "BODY=8BITMIME")
            client.sendmail("b+1@bounces.harbour.example", ["anna@example.org"], mail, mail_options=extras)
    by_id = {_message_id(mail): mail for mail in postfix.wait_for(len(mails))}
    return [by_id[_message_id(mail)] for mail in mails]


def test_what_was_delivered_passes(delivered: list[bytes], verifier: Verifier) -> None:
    assert all(b"\r\nReceived: from " in mail for mail in delivered)
    assert verifying.results(verifier(delivered, signing.records(KEY))) == [["pass"]] * len(delivered)


def test_what_somebody_changed_on_the_way_does_not(delivered: list[bytes], verifier: Verifier) -> None:
    changed = [mail.replace(b"\r\n\r\n--=_alternative", b"\r\n\r\nBuy!\r\n--=_alternative", 1) for mail in delivered]
    verdicts = verifying.results(verifier(changed, signing.records(KEY)))
    assert all(result != "pass" for mail in verdicts for result in mail)


def _message_id(mail: bytes) -> bytes:
    found = re.search(rb"^Message-ID: (.*?)\r\n", mail, re.MULTILINE)
    assert found
    return found[1]
