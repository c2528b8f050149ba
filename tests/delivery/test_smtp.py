"""The SMTP client against servers that share no code with it."""

import asyncio
import socket
from collections.abc import Iterable

import pytest
from aiosmtpd.controller import Controller

from newsletter.delivery.endpoints import Endpoint
from newsletter.delivery.models import Tls
from newsletter.delivery.opening import RelayError
from newsletter.delivery.replies import Outcome, Phase, Verdict
from newsletter.delivery.smtp import Job, Session
from tests.delivery.sink import DROP, DROP_AFTER, Script, Sink

CONTENT = b"Subject: hi\r\n\r\n..a line that begins with a dot\r\n...two\r\nend\r\n"
ARRIVES = CONTENT.replace(b"\r\n.", b"\r\n")
EITHER_WAY = [("PIPELINING", "8BITMIME"), ("8BITMIME",), ()]


def jobs(count: int) -> list[Job]:
    return [Job(n, f"b+{n}@news.example", f"r{n}@example.org", (CONTENT,)) for n in range(1, count + 1)]


def hand_over(port: int, work: Iterable[Job]) -> tuple[dict[int, Outcome], list[int]]:
    """Send `work` over one connection; return outcomes and the order of dots."""
    outcomes: dict[int, Outcome] = {}
    dots: list[int] = []
    queue = iter(work)

    async def run() -> None:
        session = Session()
        await session.open(Endpoint("127.0.0.1", port, Tls.OPPORTUNISTIC))
        await session.send(
            lambda: next(queue, None),
            lambda job: dots.append(job.id),
            lambda job, outcome: outcomes.__setitem__(job.id, outcome),
        )
        session.close()
        await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(run(), 20))
    return outcomes, dots


def at(step: str, recipient: str, answer: bytes) -> Script:
    return lambda now, who: answer if now == step and who == recipient else None


@pytest.mark.parametrize("extensions", EITHER_WAY)
def test_every_message_arrives_byte_for_byte(extensions: tuple[str, ...]) -> None:
    with Sink(extensions=extensions) as sink:
        outcomes, dots = hand_over(sink.port, jobs(20))
    assert [outcome.verdict for outcome in outcomes.values()] == [Verdict.ACCEPTED] * 20
    assert dots == list(range(1, 21))
    assert sink.messages == [(f"b+{n}@news.example", f"r{n}@example.org", ARRIVES) for n in range(1, 21)]
    assert sink.connections == 1


@pytest.mark.parametrize("extensions", EITHER_WAY)
@pytest.mark.parametrize(
    ("step", "answer", "verdict"),
    [
        ("rcpt", b"550 5.1.1 no such user", Verdict.REFUSED),
        ("rcpt", b"451 4.7.1 greylisted", Verdict.TEMPORARY),
        ("data", b"452 4.3.1 full", Verdict.TEMPORARY),
        ("dot", b"552 5.2.2 mailbox full", Verdict.REFUSED),
        ("dot", b"550 5.7.26 unauthenticated", Verdict.BLOCKED),
        ("dot", b"421 4.3.0 later", Verdict.TEMPORARY),
        ("dot", b"554 5.6.0 bad message", Verdict.UNSENDABLE),
    ],
)
def test_a_refused_message_holds_up_no_other(
    extensions: tuple[str, ...], step: str, answer: bytes, verdict: Verdict
) -> None:
    with Sink(script=at(step, "r2@example.org", answer), extensions=extensions) as sink:
        outcomes, _ = hand_over(sink.port, jobs(4))
    assert outcomes[2].verdict is verdict
    assert outcomes[1].verdict is Verdict.ACCEPTED
    if not answer.startswith(b"421"):  # which ends the connection
        assert sink.recipients == ["r1@example.org", "r3@example.org", "r4@example.org"]


@pytest.mark.parametrize("extensions", EITHER_WAY)
def test_a_connection_lost_before_the_dot_has_sent_nothing(extensions: tuple[str, ...]) -> None:
    with Sink(script=at("rcpt", "r2@example.org", DROP), extensions=extensions) as sink:
        outcomes, dots = hand_over(sink.port, jobs(3))
    assert outcomes[2].verdict is Verdict.UNSENT
    assert 2 not in dots
    assert sink.recipients == ["r1@example.org"]


@pytest.mark.parametrize("extensions", EITHER_WAY)
@pytest.mark.parametrize("how", [DROP, DROP_AFTER])
def test_a_connection_lost_after_the_dot_leaves_exactly_that_message_unknown(
    extensions: tuple[str, ...], how: bytes
) -> None:
    with Sink(script=at("dot", "r2@example.org", how), extensions=extensions) as sink:
        outcomes, dots = hand_over(sink.port, jobs(4))
    assert outcomes[2].verdict is Verdict.UNKNOWN
    assert all(outcome.verdict is not Verdict.UNKNOWN for key, outcome in outcomes.items() if key != 2)
    assert 3 not in dots


def test_nothing_of_the_next_message_is_written_when_the_server_says_421_at_the_dot() -> None:
    with Sink(script=at("dot", "r1@example.org", b"421 4.3.2 going down")) as sink:
        outcomes, dots = hand_over(sink.port, jobs(2))
    assert outcomes[1].verdict is Verdict.TEMPORARY
    assert outcomes[2].verdict is Verdict.UNSENT
    assert dots == [1]


def test_a_data_accepted_without_a_recipient_is_ended_by_a_lone_dot() -> None:
    """RFC 2920 section 3.1: a server may answer 354 although it refused every recipient."""

    async def confused(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 x\r\n")
        while line := await reader.readline():
            verb = line[:4].upper()
            reply = {b"EHLO": b"250-x\r\n250 PIPELINING\r\n", b"RCPT": b"550 5.1.1 no\r\n", b"DATA": b"354 go\r\n"}
            seen.append(line)
            writer.write(reply.get(verb, b"250 ok\r\n"))
        writer.close()

    seen: list[bytes] = []
    outcomes: dict[int, Outcome] = {}

    async def run() -> None:
        server = await asyncio.start_server(confused, "127.0.0.1", 0)
        session = Session()
        await session.open(Endpoint("127.0.0.1", server.sockets[0].getsockname()[1], Tls.OPPORTUNISTIC))
        queue = iter(jobs(2))
        await session.send(
            lambda: next(queue, None), lambda _: None, lambda job, outcome: outcomes.__setitem__(job.id, outcome)
        )
        session.close()
        server.close()

    asyncio.run(asyncio.wait_for(run(), 10))
    assert [outcome.verdict for outcome in outcomes.values()] == [Verdict.REFUSED, Verdict.REFUSED]
    assert seen.count(b".\r\n") == 2


def test_an_address_beyond_ascii_needs_a_relay_that_takes_it() -> None:
    work = [Job(1, "b@news.example", "jörg@example.org", (CONTENT,), utf8=True)]
    with Sink() as sink:
        outcomes, _ = hand_over(sink.port, work)
    assert outcomes[1].verdict is Verdict.UNSENDABLE
    assert sink.messages == []


def test_a_message_over_the_relays_size_is_not_offered() -> None:
    with Sink(extensions=("PIPELINING", "SIZE 20")) as sink:
        outcomes, _ = hand_over(sink.port, jobs(1))
    assert outcomes[1].verdict is Verdict.UNSENDABLE
    assert not any(command.startswith("MAIL") for command in sink.commands)


def test_a_relay_that_is_away_is_said_in_plain_words() -> None:
    with Sink() as sink:
        port = sink.port
    with pytest.raises(RelayError) as caught:
        hand_over(port, jobs(1))
    assert caught.value.phase is Phase.CONNECT
    assert "cannot connect" in caught.value.outcome.text


def test_a_wrong_password_is_our_fault_and_no_readers() -> None:
    with Sink(extensions=("AUTH PLAIN",)) as sink:

        async def run() -> None:
            relay = Endpoint("127.0.0.1", sink.port, Tls.OPPORTUNISTIC, "me", "wrong")
            await Session().open(relay)

        with pytest.raises(RelayError) as caught:
            asyncio.run(run())
    assert caught.value.phase is Phase.AUTH
    assert caught.value.outcome.verdict is Verdict.OURS


def test_required_starttls_that_is_not_offered_is_refused() -> None:
    with Sink() as sink, pytest.raises(RelayError) as caught:
        asyncio.run(Session().open(Endpoint("127.0.0.1", sink.port, Tls.STARTTLS)))
    assert caught.value.phase is Phase.TLS


class Keeper:
    """aiosmtpd's handler: another implementation of the protocol."""

    def __init__(self) -> None:
        self.kept: list[bytes] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: object) -> str:  # noqa: N802  (its name)
        self.kept.append(envelope.content)  # type: ignore[attr-defined]
        return "250 kept"


def test_another_servers_implementation_gets_the_same_bytes() -> None:
    keeper = Keeper()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(keeper, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        outcomes, _ = hand_over(port, jobs(5))
    finally:
        controller.stop()
    assert {outcome.verdict for outcome in outcomes.values()} == {Verdict.ACCEPTED}
    assert keeper.kept == [ARRIVES] * 5
