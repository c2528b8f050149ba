"""The catcher as its users meet it: a real process, a real SMTP client, real pages."""

import re
import signal
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import urllib3  # noqa: TID251  (the test is the visitor here)

from newsletter.catcher.mailbox import Mailbox
from newsletter.foundation.ports import free_port
from newsletter.foundation.watchdog import Watchdog

PLAIN = b"From: Desk <desk@example.org>\r\nTo: ann@example.org\r\nSubject: Morning\r\n\r\nGood morning.\r\n"
HOSTILE = (
    b"From: x\r\nSubject: <script>alert(1)</script>\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    b"<html><HEAD><base href='https://evil.example/'></HEAD><script>top.location='https://evil.example'</script>\r\n"
    b"<form action='https://evil.example'><img src=x onerror=alert(1)></form></html>\r\n"
)


def command(folder: Path, smtp_port: int, http_port: int) -> list[str]:
    ports = [f"--smtp-port={smtp_port}", f"--http-port={http_port}"]
    return [sys.executable, "-m", "newsletter.catcher", *ports, f"--folder={folder}", "--keep=200"]


@dataclass(frozen=True)
class Running:
    process: subprocess.Popen[str]
    smtp_port: int
    http_port: int
    folder: Path

    def send(self, message: bytes, to: str = "ann@example.org", sender: str = "bounce+1@example.org") -> None:
        with smtplib.SMTP("127.0.0.1", self.smtp_port) as client:
            client.sendmail(sender, to, message)

    def page(self, path: str, **headers: str) -> urllib3.BaseHTTPResponse:
        return urllib3.request("GET", f"http://127.0.0.1:{self.http_port}{path}", headers=headers, retries=False)


@pytest.fixture
def catcher(tmp_path: Path) -> Iterator[Running]:
    watchdog = Watchdog()
    with subprocess.Popen(
        command(tmp_path / "box", 0, 0),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        watchdog.guard(process.pid)
        assert process.stdout is not None
        ports = re.findall(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
        try:
            yield Running(process, int(ports[0]), int(ports[1]), tmp_path / "box")
        finally:
            process.kill()
            process.wait()
            watchdog.release(process.pid)
            watchdog.close()


def test_the_bytes_are_kept_as_they_crossed_the_wire(catcher: Running) -> None:
    # A leading dot, trailing blanks, a bare line feed inside the text, UTF-8 and no blank line at the end.
    message = PLAIN + b".dot first\r\ntrailing blank \r\n..two dots\r\nna\xc3\xafve\r\n"
    catcher.send(message)
    with Mailbox(catcher.folder) as mailbox:
        (caught,) = mailbox.page()
    assert caught.path.read_bytes() == message
    assert (caught.sender, caught.recipients) == ("bounce+1@example.org", ("ann@example.org",))
    assert catcher.page(f"/{caught.number}.eml").data == message


def test_one_message_to_several_is_kept_once(catcher: Running) -> None:
    with smtplib.SMTP("127.0.0.1", catcher.smtp_port) as client:
        client.sendmail("desk@example.org", ["ann@example.org", "bo@example.net"], PLAIN)
    with Mailbox(catcher.folder) as mailbox:
        (caught,) = mailbox.page()
    assert caught.recipients == ("ann@example.org", "bo@example.net")


def test_addresses_may_be_international(catcher: Running) -> None:
    with smtplib.SMTP("127.0.0.1", catcher.smtp_port) as client:
        client.ehlo()
        assert client.has_extn("smtputf8")
        assert client.has_extn("8bitmime")
        client.sendmail("desk@example.org", "jörg@bücher.example", PLAIN, mail_options=["SMTPUTF8"])
    with Mailbox(catcher.folder) as mailbox:
        assert len(mailbox.addressed_to("jörg@bücher.example")) == 1


def test_the_inbox_lists_newest_first_and_finds_a_recipient(catcher: Running) -> None:
    assert "Nothing was caught yet" in catcher.page("/").data.decode()
    catcher.send(PLAIN, "ann@example.org")
    catcher.send(PLAIN.replace(b"Morning", b"=?utf-8?q?=C3=9Cber_Evening?="), "bo_b@example.net")
    listed = catcher.page("/").data.decode()
    assert listed.index("Über Evening") < listed.index("Morning")
    found = catcher.page("/?to=bo_b%40").data.decode()
    assert "bo_b@example.net" in found
    assert "ann@example.org" not in found
    assert "No message" in catcher.page("/?to=%25").data.decode()
    assert "No message" in catcher.page("/?to=o%3Ch1%3E").data.decode()


def test_pages_turn(catcher: Running) -> None:
    with smtplib.SMTP("127.0.0.1", catcher.smtp_port) as client:
        for number in range(60):
            client.sendmail("desk@example.org", f"reader{number}@example.org", PLAIN)
    first = catcher.page("/").data.decode()
    assert "60 messages" in first
    assert "reader59@" in first
    assert "reader9@" not in first
    older = re.search(r'href="([^"]*before=\d+)" rel="next"', first)
    assert older
    second = catcher.page(older[1].replace("&amp;", "&")).data.decode()
    assert "reader9@" in second
    assert "reader10@" not in second
    assert 'rel="next"' not in second


def test_a_message_shows_as_text_and_source(catcher: Running) -> None:
    catcher.send(PLAIN)
    text = catcher.page("/1").data.decode()
    assert "<pre>Good morning." in text
    assert "<iframe" not in text
    assert "Subject: Morning" in catcher.page("/1?view=source").data.decode()
    assert catcher.page("/1/html").status == 404
    assert catcher.page("/2").status == 404


def test_hostile_html_is_confined(catcher: Running) -> None:
    catcher.send(HOSTILE)
    for path in ("/", "/1", "/1?view=source"):
        page = catcher.page(path)
        assert "<script" not in page.data.decode()
        assert "script-src" not in page.headers["Content-Security-Policy"]
        assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    frame = re.search(r"<iframe [^>]*>", catcher.page("/1").data.decode())
    assert frame
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in frame[0]
    policy = catcher.page("/1/html").headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "form-action 'none'", "base-uri 'none'"} <= set(policy)
    assert policy[0].split() == ["sandbox", "allow-popups", "allow-popups-to-escape-sandbox"]


def test_another_name_for_this_machine_reads_nothing(catcher: Running) -> None:
    catcher.send(PLAIN)
    assert catcher.page("/1", Host="evil.example").status == 400


def test_the_oldest_make_room(catcher: Running) -> None:
    with smtplib.SMTP("127.0.0.1", catcher.smtp_port) as client:
        for _ in range(203):
            client.sendmail("desk@example.org", "ann@example.org", PLAIN)
    with Mailbox(catcher.folder) as mailbox:
        assert mailbox.count() == 200
        assert mailbox.page(before=5) == [mailbox.get(4)]
    assert len(list(catcher.folder.glob("*.eml"))) == 200


def test_nothing_but_reading_is_offered(catcher: Running) -> None:
    catcher.send(PLAIN)
    for method in ("POST", "PUT", "DELETE"):
        answer = urllib3.request(method, f"http://127.0.0.1:{catcher.http_port}/1", retries=False)
        assert answer.status == 405


def test_being_asked_to_end_it_ends_well(catcher: Running) -> None:
    catcher.process.send_signal(signal.SIGTERM)
    assert catcher.process.wait(10) == 0


def test_a_busy_port_is_explained(catcher: Running) -> None:
    argv = command(catcher.folder, catcher.smtp_port, free_port())
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.search(rf"Port {catcher.smtp_port} .*--smtp-port", done.stderr)
