"""Caught mails as their recipients read them."""

import datetime
from pathlib import Path

import pytest

from newsletter.catcher.mailbox import Mailbox
from newsletter.demo.errors import StoryError
from newsletter.demo.postbox import Postbox

NOW = datetime.datetime(2026, 11, 23, 6, 30, tzinfo=datetime.UTC)
DIGEST = b"""From: Gazette <digest@gazette.example>\r
To: a@readers.example\r
Subject: News\r
List-Id: "The Daily" <daily.lists.gazette.example>\r
List-Unsubscribe: <http://127.0.0.1:8000/u/abc>\r
List-Unsubscribe-Post: List-Unsubscribe=One-Click\r
Content-Type: text/plain; charset=utf-8\r
\r
Read on: http://site/a\r
Leave: http://127.0.0.1:8000/leave/xyz\r
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with Mailbox(tmp_path / "caught") as mailbox:
        mailbox.add(DIGEST, "b@gazette.example", ["a@readers.example"], NOW)
    return tmp_path / "caught"


def test_mails_are_taken_once_oldest_first(folder: Path) -> None:
    postbox = Postbox(folder)
    assert [mail.to for mail in postbox.take()] == ["a@readers.example"]
    with Mailbox(folder) as mailbox:
        for name in "bc":
            mailbox.add(DIGEST, "b@gazette.example", [f"{name}@readers.example"], NOW)
    assert postbox.waiting() == 2
    assert [mail.to for mail in postbox.take()] == ["b@readers.example", "c@readers.example"]
    assert (postbox.waiting(), postbox.count(), postbox.take()) == (0, 3, [])


def test_links_the_list_and_the_one_click_are_found(folder: Path) -> None:
    (mail,) = Postbox(folder).take()
    assert mail.urls == ["http://site/a", "http://127.0.0.1:8000/leave/xyz"]
    assert mail.link("/leave/") == "http://127.0.0.1:8000/leave/xyz"
    assert mail.list_slug == "daily"
    assert mail.one_click == "http://127.0.0.1:8000/u/abc"
    with pytest.raises(StoryError, match="no link to /confirm/"):
        mail.link("/confirm/")


@pytest.mark.parametrize("header", [b"List-Unsubscribe:", b"List-Unsubscribe-Post:"])
def test_one_click_needs_both_headers(folder: Path, header: bytes) -> None:
    path = next(folder.glob("*.eml"))
    path.write_bytes(DIGEST.replace(header, b"X-Other:"))
    (mail,) = Postbox(folder).take()
    with pytest.raises(StoryError, match="one click"):
        _ = mail.one_click


def test_copies_are_the_bytes_as_they_came_and_take_an_earlier_demos_place(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "mails"
    target.mkdir()
    (target / "demo-00000099.eml").write_text("old")
    (target / "letter.eml").write_text("mine")
    Postbox(folder).copy_to(target)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == {
        "demo-00000001.eml": DIGEST,
        "letter.eml": b"mine",
    }
