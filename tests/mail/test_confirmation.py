"""The mails that answer a sign-up hold what they must and nothing else."""

import datetime
import email
import re

import pytest

from newsletter.foundation.errors import RenderError
from newsletter.mail.confirmation import ConfirmationLinks, already_subscribed, confirmation, encode
from newsletter.mail.shapes import Rendered
from tests.mail.samples import FACTS, envelope

LINKS = ConfirmationLinks("https://news.example.org/confirm/abc", "https://news.example.org/not-me/abc")
PREFERENCES = "https://news.example.org/preferences/abc"


def mails() -> dict[str, Rendered]:
    return {
        "confirmation": confirmation(FACTS, "en", LINKS, datetime.timedelta(hours=48)),
        "already subscribed": already_subscribed(FACTS, "en", PREFERENCES),
    }


def test_the_confirmation_mail_holds_the_button_the_way_out_privacy_and_the_sender_alone() -> None:
    mail = mails()["confirmation"]
    links = [LINKS.confirm, LINKS.not_me, FACTS.privacy_url]
    assert re.findall(r"https://\S+", mail.text) == links
    assert re.findall(r'href="(https:[^"]+)"', mail.html) == links
    assert "<img" not in mail.html
    for part in (mail.text, mail.html):
        assert "2 days" in part
        assert "12 Quay Street, 10115 Port Example" in part


def test_whoever_is_subscribed_already_is_led_to_their_preferences() -> None:
    mail = mails()["already subscribed"]
    assert re.findall(r"https://\S+", mail.text) == [PREFERENCES, FACTS.privacy_url]
    assert re.findall(r'href="(https:[^"]+)"', mail.html) == [PREFERENCES, FACTS.privacy_url]


@pytest.mark.parametrize("name", ["confirmation", "already subscribed"])
def test_system_mails_are_no_list_mail_and_come_from_another_address_than_digests(name: str) -> None:
    message = encode(FACTS, mails()[name], envelope(to="jörg@example.org"))
    parsed = email.message_from_bytes(message.content)
    assert not [header for header in parsed if header.startswith("List-")]
    assert "Precedence" not in parsed
    assert "Feedback-ID" not in parsed
    assert parsed["Auto-Submitted"] == "auto-generated"
    assert parsed["From"] == "The Harbour Post <signup@harbour.example>"
    assert parsed["Reply-To"] == "The Harbour Post <desk@harbour.example>"
    assert message.smtputf8
    assert message.return_path == envelope().return_path


def test_a_link_that_is_not_ours_to_give_is_refused() -> None:
    with pytest.raises(RenderError):
        confirmation(FACTS, "en", ConfirmationLinks("http://a.example/x", LINKS.not_me), datetime.timedelta(days=2))
    with pytest.raises(RenderError):
        already_subscribed(FACTS, "en", "javascript:alert(1)")
