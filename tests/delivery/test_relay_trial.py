"""A relay is tried out without sending a mail, and how far it came is said in words."""

import socket
import threading
from dataclasses import replace

import pytest

from newsletter.delivery import relay_trial
from newsletter.delivery.endpoints import Endpoint
from newsletter.delivery.models import Tls
from newsletter.delivery.relay_trial import try_relay
from tests.delivery.sink import DROP, Sink

HERE = Endpoint("127.0.0.1", 1, Tls.OPPORTUNISTIC, hello="news.example.org")


def test_one_that_works_is_praised_and_gets_no_mail() -> None:
    with Sink() as sink:
        trial = try_relay(replace(HERE, port=sink.port))
    assert (trial.works, trial.reached) == (True, "ready")
    assert "takes our mail: it answers without encryption, and asks for no password." in trial.sentence
    assert "PIPELINING" in trial.offers
    assert [command.split()[0] for command in sink.commands] == ["EHLO", "QUIT"]


@pytest.mark.parametrize(
    ("step", "said"),
    [("connect", "does not welcome us: 554 5.7.1 go away"), ("ehlo", "refuses our name “news.example.org”")],
)
def test_one_that_refuses_us_is_told_with_its_words(step: str, said: str) -> None:
    answers = _Answers(b"554 5.7.1 go away\r\n" if step == "connect" else b"220 hi\r\n", b"550 5.7.1 no such name\r\n")
    trial = try_relay(replace(HERE, port=answers.port))
    assert not trial.works
    assert said in trial.sentence


def test_nobody_there_no_encryption_and_a_wrong_password() -> None:
    gone = try_relay(replace(HERE, port=_free_port()))
    assert (gone.works, gone.reached) == (False, "connect")
    assert "There is no way to 127.0.0.1:" in gone.sentence
    with Sink(extensions=("PIPELINING", "AUTH PLAIN")) as sink:
        plain = try_relay(replace(HERE, port=sink.port, tls=Tls.STARTTLS))
        assert plain.reached == "tls"
        assert "Port 465" in plain.sentence
        wrong = try_relay(replace(HERE, port=sink.port, username="me", password="not-for-anybodys-eyes"))
    assert wrong.reached == "auth"
    assert "does not let “me” in" in wrong.sentence
    assert "not-for-anybodys-eyes" not in wrong.sentence


def test_one_that_drops_us_or_keeps_us_waiting_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with Sink(script=lambda step, _: DROP if step == "connect" else None) as sink:
        assert try_relay(replace(HERE, port=sink.port)).reached == "greeting"
    monkeypatch.setattr(relay_trial, "PATIENCE", 0.2)
    silent = _Answers()
    trial = try_relay(replace(HERE, port=silent.port))
    assert not trial.works
    assert "kept us waiting" in trial.sentence


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class _Answers:
    """A server that says its lines one after the other, whatever it hears, the last one twice, and then nothing."""

    def __init__(self, *lines: bytes) -> None:
        self._lines = lines
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._speak, daemon=True).start()

    def _speak(self) -> None:
        with self._socket:
            connection, _ = self._socket.accept()
        with connection:
            for line in (*self._lines, *self._lines[-1:]):
                connection.sendall(line)
                if not connection.recv(1000):
                    break
            else:
                connection.recv(1000)
