"""The client against servers that others wrote: smtp-sink with its options, Postfix, Exim, aiosmtpd."""

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from flask import Flask
from sqlalchemy.orm import Session as Database

from newsletter.delivery.endpoints import Endpoint
from newsletter.delivery.models import Tls
from newsletter.delivery.opening import RelayError
from newsletter.delivery.replies import Failure, Outcome, Phase, Verdict, judge
from newsletter.delivery.smtp import Job, Session
from newsletter.foundation.ports import LOOPBACK, free_port
from tests.delivery import world
from tests.servers import exim as exims
from tests.servers import postfix as postfixes
from tests.servers import smtp_sink
from tests.servers.certificates import Authority
from tests.servers.exim import EximServer
from tests.servers.fixtures import or_skip
from tests.servers.postfix import PostfixServer

COUNT = 4
BODY = (
    b".a line that begins with a dot\r\n..two\r\n.\r\n"
    + b"x" * 998
    + b"\r\n"
    + b"." * 998
    + b"\r\n\ttab and trailing \r\n\r\nend\r\n"
)
CONTENT = (
    b"From: b@news.example\r\nSubject: hi\r\nDate: Mon, 23 Nov 2026 06:30:00 +0000\r\nMessage-ID: <1@news.example>\r\n"
)
CONTENT += b"\r\n" + BODY


def stuffed(content: bytes) -> bytes:
    return content.replace(b"\r\n.", b"\r\n..")


def jobs(count: int = COUNT, recipient: str = "r{}@example.org") -> list[Job]:
    return [Job(n, f"b+{n}@news.example", recipient.format(n), (stuffed(CONTENT),)) for n in range(1, count + 1)]


def hand_over(relay: Endpoint, work: list[Job]) -> tuple[dict[int, Outcome], list[int]]:
    """Send `work` over one connection; return outcomes and whose dots were written. Raises RelayError."""
    outcomes: dict[int, Outcome] = {}
    dots: list[int] = []
    queue = iter(work)

    async def run() -> None:
        session = Session()
        await session.open(relay)
        await session.send(
            lambda: next(queue, None),
            lambda job: dots.append(job.id),
            lambda job, outcome: outcomes.__setitem__(job.id, outcome),
        )
        session.close()
        await asyncio.sleep(0.02)

    asyncio.run(asyncio.wait_for(run(), 60))
    return outcomes, dots


def at(port: int) -> Endpoint:
    return Endpoint(LOOPBACK, port, Tls.OPPORTUNISTIC)


@contextlib.contextmanager
def sink(*options: str) -> Iterator[smtp_sink.SmtpSink]:
    with or_skip(smtp_sink.running(*options)) as running:
        yield running


# -- smtp-sink


@pytest.mark.parametrize(
    "options", [chosen for n in range(6) for chosen in itertools.combinations(("-8", "-e", "-E", "-N", "-p"), n)]
)
def test_every_set_of_extensions_will_do(options: tuple[str, ...]) -> None:
    with sink(*options) as server:
        outcomes, dots = hand_over(at(server.port), jobs())
    assert {outcome.verdict for outcome in outcomes.values()} == {Verdict.ACCEPTED}
    assert dots == list(outcomes) == list(range(1, COUNT + 1))
    plain = "-e" in options
    for line in server.said:
        parameters = line.split("> ")[1:]
        if line.startswith("MAIL "):
            dsn = [] if plain or "-N" in options else ["RET=HDRS"]
            assert [one.partition(" ENVID=")[0] for one in parameters] == dsn
        if line.startswith("RCPT "):
            dsn = [] if plain or "-N" in options else ["NOTIFY=FAILURE ORCPT=rfc822;r"]
            assert [one[:29] for one in parameters] == dsn


@pytest.mark.parametrize("option", ["-P", "-w1", "-a"])
def test_an_odd_server_gets_its_mail(option: str) -> None:
    with sink(option) as server:
        outcomes, _ = hand_over(at(server.port), jobs(1))
    assert outcomes[1].verdict is Verdict.ACCEPTED


@pytest.mark.parametrize(
    ("options", "phase", "verdict"),
    [
        (("-f", "CONNECT"), Phase.GREETING, Verdict.OURS),
        (("-r", "CONNECT"), Phase.GREETING, Verdict.TEMPORARY),
        (("-q", "CONNECT"), Phase.GREETING, Verdict.UNSENT),
        (("-Q", "CONNECT"), Phase.GREETING, Verdict.TEMPORARY),
        (("-f", "EHLO,HELO"), Phase.HELLO, Verdict.OURS),
        (("-r", "EHLO"), Phase.HELLO, Verdict.TEMPORARY),
        (("-q", "EHLO"), Phase.HELLO, Verdict.UNSENT),
        (("-Q", "EHLO"), Phase.HELLO, Verdict.TEMPORARY),
        (("-e", "-q", "HELO"), Phase.HELLO, Verdict.UNSENT),
        (("-e", "-Q", "HELO"), Phase.HELLO, Verdict.TEMPORARY),
    ],
)
def test_an_opening_that_fails_names_no_reader(options: tuple[str, ...], phase: Phase, verdict: Verdict) -> None:
    with sink(*options) as server, pytest.raises(RelayError) as caught:
        hand_over(at(server.port), jobs())
    assert (caught.value.phase, caught.value.outcome.verdict) == (phase, verdict)
    assert server.count("mail") == 0


def test_a_server_that_refuses_ehlo_is_spoken_to_as_of_old() -> None:
    with sink("-f", "EHLO") as server:
        outcomes, _ = hand_over(at(server.port), jobs())
    assert {outcome.verdict for outcome in outcomes.values()} == {Verdict.ACCEPTED}
    assert server.count("helo") == 1


PLAIN_REFUSALS = [
    (("-f", "{}"), Verdict.REFUSED, Failure.MAILBOX),  # 500 5.3.0
    (("-r", "{}"), Verdict.TEMPORARY, Failure.TEMPORARY),
]
REFUSALS = [
    (("-B", "550 5.1.1 no such user", "-f", "{}"), Verdict.REFUSED, Failure.READER),
    (("-B", "550 5.7.26 unauthenticated", "-f", "{}"), Verdict.BLOCKED, Failure.AUTHENTICATION),
    (("-B", "554 5.7.1 blocked, see the list", "-f", "{}"), Verdict.BLOCKED, Failure.REPUTATION),
    (("-B", "550 5.6.0 malformed", "-f", "{}"), Verdict.UNSENDABLE, Failure.BUG),
    (("-b", "451 4.7.1 greylisted", "-r", "{}"), Verdict.TEMPORARY, Failure.TEMPORARY),
    (("-b", "452 4.2.2 full", "-r", "{}"), Verdict.TEMPORARY, Failure.MAILBOX),
]


@pytest.mark.parametrize(
    ("command", "options", "verdict", "failure"),
    [
        *((command, *refusal) for command in ("MAIL", "RCPT", "DATA", ".") for refusal in PLAIN_REFUSALS),
        *((command, *refusal) for command in ("RCPT", ".") for refusal in REFUSALS),
    ],
)
def test_each_is_refused_once_and_holds_up_no_other(
    command: str, options: tuple[str, ...], verdict: Verdict, failure: Failure
) -> None:
    if command == "MAIL" and verdict is not Verdict.TEMPORARY:
        verdict = Verdict.OURS  # nobody has been named
    with sink(*(option.format(command) for option in options)) as server:
        outcomes, dots = hand_over(at(server.port), jobs())
    assert {outcome.verdict for outcome in outcomes.values()} == {verdict}
    assert verdict is Verdict.OURS or {outcome.failure for outcome in outcomes.values()} == {failure}
    assert list(outcomes) == list(range(1, COUNT + 1))
    assert server.count("mail") == COUNT
    assert server.count("rcpt") == (0 if command == "MAIL" else COUNT)
    assert dots == (list(outcomes) if command == "." else [])


@pytest.mark.parametrize("lockstep", [(), ("-p",)])
@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA", "."])
@pytest.mark.parametrize("how", ["-q", "-Q"])
def test_unknown_is_exactly_what_had_its_dot_and_no_reply(how: str, command: str, lockstep: tuple[str, ...]) -> None:
    with sink(*lockstep, how, command) as server:
        outcomes, dots = hand_over(at(server.port), jobs())
    verdicts = Counter(outcome.verdict for outcome in outcomes.values())
    unknown = {key for key, outcome in outcomes.items() if outcome.verdict is Verdict.UNKNOWN}
    if (how, command) == ("-q", "."):
        assert unknown == set(dots) == {1}
    else:
        assert unknown == set()
        assert dots == ([1] if command == "." else [])
    if how == "-Q" and command != "MAIL":
        assert outcomes[1].verdict is Verdict.TEMPORARY
        assert outcomes[1].code == 421
    assert set(verdicts) <= {Verdict.UNKNOWN, Verdict.TEMPORARY, Verdict.UNSENT}
    assert server.count(".") == len(dots)


def test_a_refusal_before_the_content_has_been_read_is_a_refusal() -> None:
    with sink("-A", "0", "-B", "550 5.1.1 no such user") as server:
        outcomes, dots = hand_over(at(server.port), jobs(1))
    assert dots == [1]
    assert outcomes[1].verdict is not Verdict.ACCEPTED


@pytest.mark.parametrize(
    ("options", "state", "attempts"),
    [
        (("-q", "."), "unknown", None),
        (("-B", "550 5.1.1 no such user", "-f", "RCPT"), "failed", 6),
        (("-B", "550 5.7.1 unsolicited mail", "-f", "."), "deferred", None),
        (("-b", "451 4.7.1 greylisted", "-r", "RCPT"), "deferred", 6),
    ],
)
def test_the_ledger_says_what_the_server_did(
    app: Flask, session: Database, tmp_path: Path, options: tuple[str, ...], state: str, attempts: int | None
) -> None:
    world.build(6)
    world.start()
    with sink(*options) as server:
        engine = world.engine(app, tmp_path, server.port)
        for _ in range(3):
            engine.run(bulk=True, seconds=5)
        engine.close()
    counted = world.states(session)
    if state == "unknown":
        assert counted["unknown"] == server.count(".")
    assert counted.get(state, 0) == 6 or (state != "failed" and set(counted) <= {state, "planned"})
    assert attempts is None or server.count("rcpt") == attempts


# -- servers that keep what they get


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    with pytest.MonkeyPatch.context() as patch:
        authority = Authority(tmp_path_factory.mktemp("certificates"))
        patch.setenv("SSL_CERT_FILE", str(authority.file))
        yield authority


@pytest.fixture(scope="module")
def strict_postfix(trusted: Authority) -> Iterator[PostfixServer]:
    """A Postfix with TLS that bounces, refuses and limits."""
    settings = {
        "smtpd_tls_cert_file": str(trusted.good().file),
        "smtpd_tls_key_file": "$smtpd_tls_cert_file",
        "smtpd_tls_security_level": "encrypt",
        "smtpd_tls_received_header": "yes",
        "smtpd_reject_unlisted_recipient": "no",
        "smtpd_forbid_unauth_pipelining": "yes",
        "message_size_limit": "20000",
        "virtual_mailbox_limit": "20000",
        "transport_maps": "inline:{ { bounces.example = error:5.1.1 nobody of that name } }",
        "smtpd_recipient_restrictions": "check_recipient_access inline:{ { gone@example.org = 550 5.1.1 gone } }",
    }
    with or_skip(postfixes.running(settings)) as server:
        yield server


def body_of(mail: bytes) -> bytes:
    return mail.partition(b"\r\n\r\n")[2]


@pytest.mark.postfix
def test_postfix_delivers_every_byte_over_verified_tls(strict_postfix: PostfixServer) -> None:
    relay = Endpoint("localhost", strict_postfix.port, Tls.STARTTLS)
    outcomes, _ = hand_over(relay, jobs(10))
    assert {outcome.verdict for outcome in outcomes.values()} == {Verdict.ACCEPTED}
    for mail in strict_postfix.wait_for(10):
        assert body_of(mail) == BODY
        assert b"TLSv1.3" in mail or b"TLSv1.2" in mail


@pytest.mark.postfix
def test_postfix_refuses_one_and_takes_the_next(strict_postfix: PostfixServer) -> None:
    relay = Endpoint(LOOPBACK, strict_postfix.port, Tls.STARTTLS)
    before = len(strict_postfix.mails())
    work = [*jobs(2), Job(3, "b@news.example", "gone@example.org", (stuffed(CONTENT),)), *jobs(5)[3:]]
    work.append(Job(6, "b@news.example", "r@example.org", (CONTENT * 20,)))
    outcomes, _ = hand_over(relay, work)
    assert (outcomes[3].verdict, outcomes[3].failure, outcomes[3].code) == (Verdict.REFUSED, Failure.READER, 550)
    assert (outcomes[6].verdict, outcomes[6].failure) == (Verdict.UNSENDABLE, Failure.BUG)
    assert [outcomes[key].verdict for key in (1, 2, 4, 5)] == [Verdict.ACCEPTED] * 4
    strict_postfix.wait_for(before + 4)


@pytest.mark.postfix
@pytest.mark.parametrize(
    ("recipient", "report"),
    [
        ("anna+x@bounces.example", b"Original-Recipient: rfc822;anna+x@bounces.example"),
        ("jörg@bounces.example", "Original-Recipient: utf-8;jörg@bounces.example".encode()),
    ],
)
def test_a_bounce_of_postfix_says_which_mail_it_was(
    strict_postfix: PostfixServer, recipient: str, report: bytes
) -> None:
    key = 4711 + len(recipient)
    content = CONTENT if recipient.isascii() else CONTENT.replace(b"Subject: hi", "Subject: grüß".encode())
    relay, before = Endpoint(LOOPBACK, strict_postfix.port, Tls.STARTTLS), len(strict_postfix.mails())
    outcomes, _ = hand_over(relay, [Job(key, "b@news.example", recipient, (stuffed(content),))])
    assert outcomes[key].verdict is Verdict.ACCEPTED
    strict_postfix.wait_for(before + 1)
    envelope_id = b"Original-Envelope-Id: %d" % key
    (bounce,) = [mail for mail in strict_postfix.mails() if envelope_id in mail]
    assert report in bounce
    assert b"nobody of that name" in bounce
    assert b"end\r\n" not in bounce.partition(envelope_id)[2]  # RET=HDRS: our own text does not come back


@pytest.mark.postfix
def test_postfix_takes_addresses_beyond_ascii(strict_postfix: PostfixServer) -> None:
    before = len(strict_postfix.mails())
    content = "From: b@news.example\r\nTo: jörg@exämple.org\r\nSubject: Grüße\r\n\r\nGrüße\r\n".encode()
    relay = Endpoint(LOOPBACK, strict_postfix.port, Tls.STARTTLS)
    outcomes, _ = hand_over(relay, [Job(1, "b@news.example", "jörg@exämple.org", (content,), utf8=True)])
    assert outcomes[1].verdict is Verdict.ACCEPTED
    assert any("Grüße\r\n".encode() in body_of(mail) for mail in strict_postfix.wait_for(before + 1))


@pytest.mark.postfix
def test_a_postfix_that_wants_tls_and_is_offered_none_pauses_us(strict_postfix: PostfixServer) -> None:
    async def in_clear() -> Outcome:
        reader, writer = await asyncio.open_connection(LOOPBACK, strict_postfix.port)
        for line in (b"", b"EHLO x.example\r\n", b"MAIL FROM:<b@news.example>\r\n"):
            writer.write(line)
            while (reply := await reader.readline())[3:4] == b"-":
                pass
        writer.close()
        return judge(Phase.MAIL, int(reply[:3]), reply[4:].decode())

    assert asyncio.run(in_clear()).verdict is Verdict.OURS


@pytest.fixture(scope="module")
def exim() -> Iterator[EximServer]:
    with or_skip(exims.running()) as server:
        yield server


def test_exim_delivers_every_byte(exim: EximServer) -> None:
    before = len(exim.mails())
    work = [*jobs(4), Job(5, "b@news.example", "refused@example.org", (stuffed(CONTENT),)), *jobs(7)[5:]]
    outcomes, _ = hand_over(at(exim.port), work)
    assert (outcomes.pop(5).failure, {one.verdict for one in outcomes.values()}) == (Failure.READER, {Verdict.ACCEPTED})
    for mail in exim.wait_for(before + 6):
        assert body_of(mail) == BODY


class Keeper:
    """aiosmtpd's handler."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    async def handle_DATA(self, _server: SMTP, _session: object, envelope: Any) -> str:  # noqa: N802  (its name)
        self.kept.append(envelope)
        return "250 kept"


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_aiosmtpd_lets_us_in_by_password_over_tls(trusted: Authority, mechanism: str) -> None:
    keeper, seen = Keeper(), list[LoginPassword]()

    def judge_login(_server: SMTP, _session: object, _envelope: object, _mechanism: str, data: Any) -> AuthResult:
        seen.append(data)
        right = data.password == "pä ss/+=\udcff".encode("utf-8", "surrogateescape")
        return AuthResult(success=right, handled=False)

    controller = Controller(
        keeper,
        hostname=LOOPBACK,
        port=free_port(),
        tls_context=trusted.good().server(),
        require_starttls=True,
        auth_required=True,
        authenticator=judge_login,
        auth_exclude_mechanism=["LOGIN" if mechanism == "PLAIN" else "PLAIN"],
        enable_SMTPUTF8=True,
    )
    controller.start()
    try:
        relay = Endpoint.from_url(f"smtp://m%C3%A9:p%C3%A4%20ss%2F+=%FF@localhost:{controller.port}?starttls=required")
        outcomes, _ = hand_over(relay, [*jobs(2), Job(3, "b@news.example", "jörg@example.org", ("ü\r\n".encode(),))])
        with pytest.raises(RelayError) as caught:
            hand_over(Endpoint("localhost", controller.port, Tls.STARTTLS, "mé", "wrong"), jobs(1))
    finally:
        controller.stop()
    assert {outcome.verdict for outcome in outcomes.values()} == {Verdict.ACCEPTED}
    assert [envelope.content for envelope in keeper.kept] == [CONTENT, CONTENT, "ü\r\n".encode()]
    assert keeper.kept[2].rcpt_tos == ["jörg@example.org"]
    assert seen[0].login == "mé".encode()
    assert (caught.value.phase, caught.value.outcome.verdict) == (Phase.AUTH, Verdict.OURS)


def test_in_lock_step_nothing_is_said_before_the_answer() -> None:
    """S1: a server without PIPELINING may throw away what comes too early."""
    early: list[bytes] = []

    async def strict(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 strict\r\n")
        while line := await reader.readline():
            with contextlib.suppress(TimeoutError):
                early.append(await asyncio.wait_for(reader.read(1), 0.005))
            if line == b"DATA\r\n":
                writer.write(b"354 go on\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                with contextlib.suppress(TimeoutError):
                    early.append(await asyncio.wait_for(reader.read(1), 0.005))
            writer.write(b"250 strict\r\n")
        writer.close()

    async def run() -> list[Outcome]:
        server = await asyncio.start_server(strict, LOOPBACK, 0)
        session, outcomes, queue = Session(), list[Outcome](), iter(jobs())
        await session.open(at(server.sockets[0].getsockname()[1]))
        await session.send(lambda: next(queue, None), lambda _: None, lambda _, outcome: outcomes.append(outcome))
        session.close()
        await asyncio.sleep(0.05)
        server.close()
        return outcomes

    assert [outcome.verdict for outcome in asyncio.run(run())] == [Verdict.ACCEPTED] * COUNT
    assert b"".join(early) == b""
