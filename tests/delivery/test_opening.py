"""The opening conversation: with servers that are slow, old, confused, broken into, or not who they say they are."""

import asyncio
import base64
import itertools
import socket
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.delivery import opening
from newsletter.delivery.endpoints import Endpoint, is_loopback
from newsletter.delivery.models import Tls
from newsletter.delivery.opening import RelayError, open_relay
from newsletter.delivery.replies import Failure, Phase, Verdict
from tests.servers.certificates import Authority, Pair

Server = Callable[[Reader, Writer], Awaitable[None]]
SECRET = "hunter2-secret/+="


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    """Both loops: they differ in how a protocol is replaced and TLS begun."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONNECT_TIMEOUT", "GREETING_TIMEOUT", "COMMAND_TIMEOUT", "TLS_TIMEOUT"):
        monkeypatch.setattr(opening, name, 0.25)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Authority:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    return authority


def meet(
    loop: Callable[[], asyncio.AbstractEventLoop],
    server: Server,
    relay: Endpoint = Endpoint("127.0.0.1", 0),  # noqa: B008  (frozen)
    *,
    at: str = "127.0.0.1",
    pair: Pair | None = None,
) -> dict[str, str] | RelayError:
    """Let the client meet `server`; return the extensions it found, or why it left."""

    async def serve(reader: Reader, writer: Writer) -> None:
        try:
            await server(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def run() -> dict[str, str] | RelayError:
        listening = await asyncio.start_server(serve, at, 0, ssl=pair.server() if pair else None)
        endpoint = replace(relay, port=listening.sockets[0].getsockname()[1])
        try:
            opened = await open_relay(endpoint, asyncio.Protocol())
        except RelayError as error:
            return error
        else:
            opened.transport.abort()
            return opened.extensions
        finally:
            listening.close()
            await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(asyncio.wait_for(run(), 20))


def left(found: dict[str, str] | RelayError) -> RelayError:
    assert isinstance(found, RelayError)
    assert SECRET not in found.outcome.text + str(found) + repr(found)
    return found


def saying(*replies: bytes, heard: list[bytes] | None = None) -> Server:
    """A server that says one reply after the other, each but the first after a line of the client."""

    async def server(reader: Reader, writer: Writer) -> None:
        for number, reply in enumerate(replies):
            if number:
                line = await reader.readuntil(b"\r\n")
                if heard is not None:
                    heard.append(line[:-2])
            writer.write(reply)
            await writer.drain()
        await reader.read()

    return server


GREETING, HELLO = b"220 relay ESMTP\r\n", b"250-relay\r\n250-PIPELINING\r\n250-size 1000\r\n250 DSN\r\n"


def test_a_relay_is_greeted_and_its_extensions_known(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    heard: list[bytes] = []
    greeting = b"220-relay\r\n220-of the press\r\n220 at your service\r\n"
    found = meet(loop, saying(greeting, HELLO, heard=heard), Endpoint("127.0.0.1", 0, hello="news.example.org"))
    assert found == {"PIPELINING": "", "SIZE": "1000", "DSN": ""}
    assert heard == [b"EHLO news.example.org"]


def test_words_beyond_ascii_harm_nobody(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    found = meet(loop, saying("220 Grüße\r\n".encode(), b"250-\xff\xfe\r\n250-X\xe9 y\r\n250 SIZE\r\n"))
    assert isinstance(found, dict)
    assert "SIZE" in found


def test_a_reply_in_pieces_is_one_reply(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def hesitant(reader: Reader, writer: Writer) -> None:
        for reply in (GREETING, HELLO):
            for letter in reply:
                writer.write(bytes([letter]))
                await writer.drain()
                await asyncio.sleep(0)
            await reader.readline()

    assert meet(loop, hesitant) == {"PIPELINING": "", "SIZE": "1000", "DSN": ""}


def test_who_knows_no_ehlo_is_greeted_in_the_old_way(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    heard: list[bytes] = []
    assert meet(loop, saying(GREETING, b"502 what?\r\n", b"250 hello\r\n", heard=heard)) == {}
    assert [line[:4] for line in heard] == [b"EHLO", b"HELO"]


@pytest.mark.parametrize(
    ("replies", "phase", "verdict"),
    [
        ((b"554 no service\r\n",), Phase.GREETING, Verdict.OURS),
        ((b"421 4.3.2 later\r\n",), Phase.GREETING, Verdict.TEMPORARY),
        ((b"450 busy\r\n",), Phase.GREETING, Verdict.TEMPORARY),
        ((b"250 what a greeting\r\n",), Phase.GREETING, Verdict.OURS),
        ((GREETING, b"421 going down\r\n"), Phase.HELLO, Verdict.TEMPORARY),
        ((GREETING, b"550 no\r\n", b"550 no\r\n"), Phase.HELLO, Verdict.OURS),
        ((GREETING, b"502 what?\r\n", b"421 no\r\n"), Phase.HELLO, Verdict.TEMPORARY),
        ((GREETING, b"250 STARTTLS\r\n"), Phase.TLS, Verdict.UNSENT),
        ((GREETING, b"250-x\r\n250 STARTTLS\r\n", b"454 not now\r\n"), Phase.TLS, Verdict.TEMPORARY),
        ((GREETING, b"250-x\r\n250 STARTTLS\r\n", b"421 not now\r\n"), Phase.TLS, Verdict.TEMPORARY),
        ((GREETING, b"250-x\r\n250 STARTTLS\r\n", b"502 what?\r\n"), Phase.TLS, Verdict.OURS),
    ],
)
def test_a_refusal_is_told_with_its_step(
    loop: Callable[[], asyncio.AbstractEventLoop], replies: tuple[bytes, ...], phase: Phase, verdict: Verdict
) -> None:
    tls = Tls.STARTTLS if phase is Phase.TLS else Tls.OPPORTUNISTIC
    error = left(meet(loop, saying(*replies), Endpoint("127.0.0.1", 0, tls)))
    assert (error.phase, error.outcome.verdict) == (phase, verdict)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("noise", "words"),
    [
        (b"", "did not answer in time"),
        (b"220-and\r\n" * 3, "did not answer in time"),
        (b"220-and so on\r\n" * 1000, "no end"),
        (b"220 " + b"x" * 100_000, "no end"),
        (b"220 relay\n", "bare line feed"),
        (b"220-relay\n220 relay\r\n", "bare line feed"),
        (b"HTTP/1.1 400 Bad Request\r\n", "does not speak SMTP"),
        (b"22\r\n", "does not speak SMTP"),
        (b"2200 relay\r\n", "does not speak SMTP"),
        (b"\r\n", "does not speak SMTP"),
        ("٢٢٠ relay\r\n".encode(), "does not speak SMTP"),  # digits, but not those
        (b"SSH-2.0-x\r\n", "does not speak SMTP"),
    ],
)
def test_what_is_no_smtp_is_not_waited_for_long(
    loop: Callable[[], asyncio.AbstractEventLoop], noise: bytes, words: str
) -> None:
    error = left(meet(loop, saying(noise)))
    assert error.phase is Phase.GREETING
    assert error.outcome.verdict is Verdict.UNSENT
    assert words in error.outcome.text


@pytest.mark.usefixtures("impatient")
def test_a_reply_that_drips_for_ever_ends(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def dripping(_reader: Reader, writer: Writer) -> None:
        while not writer.is_closing():
            writer.write(b"220-and\r\n")
            await writer.drain()
            await asyncio.sleep(0.05)

    assert "in time" in left(meet(loop, dripping)).outcome.text


@pytest.mark.parametrize("step", range(5))
def test_a_connection_that_ends_early_says_where(loop: Callable[[], asyncio.AbstractEventLoop], step: int) -> None:
    replies = [GREETING, b"250-x\r\n250 AUTH LOGIN\r\n", b"334 VXNlcm5hbWU6\r\n", b"334 UGFzc3dvcmQ6\r\n"]
    phases = [Phase.GREETING, Phase.HELLO, Phase.AUTH, Phase.AUTH, Phase.AUTH]

    async def closing(reader: Reader, writer: Writer) -> None:
        for reply in replies[:step]:
            writer.write(reply)
            await reader.readline()

    error = left(meet(loop, closing, Endpoint("127.0.0.1", 0, Tls.OPPORTUNISTIC, "me", SECRET)))
    assert (error.phase, error.outcome.verdict) == (phases[step], Verdict.UNSENT)


def test_words_that_nobody_asked_for_end_it(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    assert "out of turn" in left(meet(loop, saying(GREETING, HELLO + b"250 and another\r\n"))).outcome.text


@pytest.mark.usefixtures("impatient")
def test_nobody_there_is_said_with_the_address(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def run(host: str) -> str:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            with pytest.raises(RelayError) as caught:
                await open_relay(Endpoint(host, taken.getsockname()[1]), asyncio.Protocol())
        assert caught.value.phase is Phase.CONNECT
        return caught.value.outcome.text

    with asyncio.Runner(loop_factory=loop) as runner:
        assert "cannot connect to 127.0.0.1:" in runner.run(run("127.0.0.1"))
        assert "cannot connect to [::1]:" in runner.run(run("::1"))
        assert "cannot connect to no.such.name.invalid:" in runner.run(run("no.such.name.invalid"))
        assert "cannot connect to a..b:" in runner.run(run("a..b"))


def test_a_relay_on_ipv6_is_told_our_address_where_we_have_no_name(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6, not even for itself")
    heard: list[bytes] = []
    assert isinstance(meet(loop, saying(GREETING, HELLO, heard=heard), Endpoint("::1", 0, hello=""), at="::1"), dict)
    assert heard == [b"EHLO [IPv6:::1]"]


@pytest.mark.parametrize(
    ("hello", "said"),
    [
        ("news.example.org", b"news.example.org"),
        ("zeitung-köln.example", b"xn--zeitung-kln-zfb.example"),
        ("[192.0.2.1]", b"[192.0.2.1]"),
        ("", b"[127.0.0.1]"),
        ("my_laptop", b"[127.0.0.1]"),
        ("x\r\nMAIL FROM:<a@b.example>", b"[127.0.0.1]"),
        ("a b", b"[127.0.0.1]"),
        ("x" * 300, b"[127.0.0.1]"),
        ("..", b"[127.0.0.1]"),
    ],
)
def test_we_give_a_name_that_smtp_allows(
    loop: Callable[[], asyncio.AbstractEventLoop], hello: str, said: bytes
) -> None:
    heard: list[bytes] = []
    meet(loop, saying(GREETING, HELLO, heard=heard), Endpoint("127.0.0.1", 0, hello=hello))
    assert heard == [b"EHLO " + said]


# -- TLS


def securing(pair: Pair, after: Server, heard: list[bytes] | None = None, injected: bytes = b"") -> Server:
    """A server that offers STARTTLS, and behaves as `after` within it."""

    async def server(reader: Reader, writer: Writer) -> None:
        writer.write(GREETING)
        await reader.readline()
        writer.write(b"250-relay\r\n250-AUTH PLAIN\r\n250-PIPELINING\r\n250 STARTTLS\r\n")
        await reader.readline()
        writer.write(b"220 go on\r\n" + injected)
        await writer.drain()
        await writer.start_tls(pair.server())
        first = await reader.readuntil(b"\r\n")
        if heard is not None:
            heard.append(first[:-2])
        await after(reader, writer)

    return server


SAFELY = saying(b"250-relay\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME\r\n", b"235 welcome\r\n")


def test_starttls_is_verified_and_begins_anew(
    loop: Callable[[], asyncio.AbstractEventLoop], trusted: Authority
) -> None:
    heard: list[bytes] = []
    relay = Endpoint("127.0.0.1", 0, Tls.STARTTLS, "me", SECRET, hello="news.example.org")
    found = meet(loop, securing(trusted.good(), SAFELY, heard), relay)
    assert found == {"AUTH": "PLAIN LOGIN", "8BITMIME": ""}  # what was said in clear is forgotten
    assert heard == [b"EHLO news.example.org"]


def test_tls_from_the_start_is_verified(loop: Callable[[], asyncio.AbstractEventLoop], trusted: Authority) -> None:
    for host in ("127.0.0.1", "localhost"):
        found = meet(loop, saying(GREETING, HELLO), Endpoint(host, 0, Tls.IMPLICIT), pair=trusted.good())
        assert found == {"PIPELINING": "", "SIZE": "1000", "DSN": ""}


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize(
    ("which", "words"),
    [
        (Authority.self_signed, "self-signed certificate"),
        (Authority.expired, "certificate has expired"),
        (Authority.of_another, "certificate is not valid for"),
    ],
)
def test_a_certificate_that_proves_nothing_is_refused(
    loop: Callable[[], asyncio.AbstractEventLoop],
    trusted: Authority,
    which: Callable[[Authority], Pair],
    words: str,
    implicit: bool,
) -> None:
    heard: list[bytes] = []
    pair = which(trusted)
    tls = Tls.IMPLICIT if implicit else Tls.STARTTLS
    server = saying(GREETING, HELLO, heard=heard) if implicit else securing(pair, SAFELY, heard)
    error = left(meet(loop, server, Endpoint("127.0.0.1", 0, tls, "me", SECRET), pair=pair if implicit else None))
    assert (error.phase, error.outcome.verdict) == (Phase.TLS, Verdict.UNSENT)
    assert words.lower() in error.outcome.text.lower()
    assert heard == []


def test_an_authority_that_is_not_ours_is_refused(
    loop: Callable[[], asyncio.AbstractEventLoop], authority: Authority
) -> None:
    error = left(meet(loop, securing(authority.good(), SAFELY), Endpoint("127.0.0.1", 0, Tls.STARTTLS)))
    assert error.phase is Phase.TLS


def test_opportunistic_takes_any_certificate(
    loop: Callable[[], asyncio.AbstractEventLoop], authority: Authority
) -> None:
    found = meet(loop, securing(authority.self_signed(), SAFELY), Endpoint("127.0.0.1", 0, Tls.OPPORTUNISTIC))
    assert found == {"AUTH": "PLAIN LOGIN", "8BITMIME": ""}


def test_opportunistic_does_without_where_there_is_none(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    assert isinstance(meet(loop, saying(GREETING, HELLO), Endpoint("127.0.0.1", 0, Tls.OPPORTUNISTIC)), dict)


def test_a_stripped_starttls_is_refused_before_the_password(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    heard: list[bytes] = []
    offer = b"250-relay\r\n250-XXXXXXXA\r\n250 AUTH PLAIN\r\n"
    relay = Endpoint("127.0.0.1", 0, Tls.STARTTLS, "me", SECRET)
    error = left(meet(loop, saying(GREETING, offer, b"235 thanks\r\n", heard=heard), relay))
    assert (error.phase, "offers no STARTTLS" in error.outcome.text) == (Phase.TLS, True)
    assert [line[:4] for line in heard] == [b"EHLO"]


@pytest.mark.parametrize("injected", [b"250 forged\r\n", b"250-forged\r\n", b"2", b"250-AUTH PLAIN\r\n250 x\r\n"])
@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.OPPORTUNISTIC])
def test_words_slipped_in_before_tls_are_not_believed(
    loop: Callable[[], asyncio.AbstractEventLoop], trusted: Authority, injected: bytes, tls: Tls
) -> None:
    server = securing(trusted.good(), SAFELY, injected=injected)
    assert left(meet(loop, server, Endpoint("127.0.0.1", 0, tls))).phase is Phase.TLS


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("then", [b"", b"250 no TLS at all\r\n", b"\x16\x03\x01\xff"])
def test_a_handshake_that_comes_to_nothing_ends(loop: Callable[[], asyncio.AbstractEventLoop], then: bytes) -> None:
    async def server(reader: Reader, writer: Writer) -> None:
        writer.write(GREETING)
        await reader.readline()
        writer.write(b"250-x\r\n250 STARTTLS\r\n")
        await reader.readline()
        writer.write(b"220 go on\r\n")
        await reader.read(1)
        writer.write(then)
        await reader.read()

    error = left(meet(loop, server, Endpoint("127.0.0.1", 0, Tls.STARTTLS)))
    assert (error.phase, error.outcome.verdict) == (Phase.TLS, Verdict.UNSENT)


def test_tls_from_the_start_with_who_speaks_none_ends(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    error = left(meet(loop, saying(GREETING), Endpoint("127.0.0.1", 0, Tls.IMPLICIT)))
    assert error.phase in (Phase.TLS, Phase.CONNECT)


# -- AUTH


def log_in(loop: Callable[[], asyncio.AbstractEventLoop], offer: bytes, *replies: bytes, password: str) -> list[bytes]:
    heard: list[bytes] = []
    relay = Endpoint("127.0.0.1", 0, Tls.OPPORTUNISTIC, "mé", password)
    found = meet(loop, saying(GREETING, b"250-x\r\n250 " + offer + b"\r\n", *replies, heard=heard), relay)
    assert isinstance(found, dict)
    return heard[1:]


@pytest.mark.parametrize("offer", [b"AUTH LOGIN PLAIN", b"auth plain", b"AUTH=PLAIN LOGIN", b"AUTH CRAM-MD5 Plain"])
def test_plain_carries_any_password(loop: Callable[[], asyncio.AbstractEventLoop], offer: bytes) -> None:
    relay = Endpoint.from_url("smtp://me:p%40%3A%2F%C3%BC%FF%01@127.0.0.1")
    (line,) = log_in(loop, offer, b"235 ok\r\n", password=relay.password)
    assert base64.b64decode(line.removeprefix(b"AUTH PLAIN ")) == "\0mé\0".encode() + b"p@:/\xc3\xbc\xff\x01"


def test_login_is_taken_where_there_is_no_plain(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    asked = (b"334 VXNlcm5hbWU6\r\n", b"334 UGFzc3dvcmQ6\r\n", b"235 ok\r\n")
    for offer, password in ((b"AUTH LOGIN", SECRET), (b"AUTH PLAIN LOGIN", "a\0b")):
        command, user, secret = log_in(loop, offer, *asked, password=password)
        assert command == b"AUTH LOGIN"
        assert (base64.b64decode(user).decode(), base64.b64decode(secret).decode()) == ("mé", password)


def test_a_long_password_goes_on_a_line_of_its_own(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """RFC 4954 section 4: a command line has at most 512 bytes."""
    first, second = log_in(loop, b"AUTH PLAIN", b"334 \r\n", b"235 ok\r\n", password="x" * 600)
    assert first == b"AUTH PLAIN"
    assert base64.b64decode(second) == "\0mé\0".encode() + b"x" * 600


@pytest.mark.parametrize("offer", [b"DSN", b"AUTH CRAM-MD5", b"AUTH", b"AUTHPLAIN"])
def test_a_relay_that_knows_neither_gets_no_mail(loop: Callable[[], asyncio.AbstractEventLoop], offer: bytes) -> None:
    relay = Endpoint("127.0.0.1", 0, Tls.OPPORTUNISTIC, "me", SECRET)
    error = left(meet(loop, saying(GREETING, b"250-x\r\n250 " + offer + b"\r\n"), relay))
    assert "neither AUTH PLAIN nor AUTH LOGIN" in error.outcome.text


ENCODED = (SECRET, base64.b64encode(SECRET.encode()).decode(), base64.b64encode(f"\0me\0{SECRET}".encode()).decode())


@pytest.mark.parametrize(("step", "code"), [*itertools.product((0, 1, 2), (b"535 5.7.8", b"421 4.7.0", b"501 5.5.2"))])
def test_a_wrong_password_is_our_fault_and_not_repeated(
    loop: Callable[[], asyncio.AbstractEventLoop], step: int, code: bytes
) -> None:
    """Also where the server repeats what it was told, whole or in part."""
    echo = b" ".join([code, *(text[:12].encode() + b" <" + text.encode() + b">" for text in ENCODED)])
    replies = (b"334 VXNlcm5hbWU6\r\n", b"334 UGFzc3dvcmQ6\r\n")[:step]
    relay = Endpoint("127.0.0.1", 0, Tls.OPPORTUNISTIC, "me", SECRET)
    for mechanism in (b"LOGIN",) if step else (b"LOGIN", b"PLAIN"):
        error = left(
            meet(loop, saying(GREETING, b"250-x\r\n250 AUTH " + mechanism + b"\r\n", *replies, echo + b"\r\n"), relay)
        )
        assert error.phase is Phase.AUTH
        assert error.outcome.verdict is (Verdict.TEMPORARY if code.startswith(b"4") else Verdict.OURS)
        assert error.outcome.failure in (Failure.AUTHENTICATION, Failure.REPUTATION, Failure.TEMPORARY)
        assert error.outcome.text.startswith(code[4:].decode())
        assert not any(text[:12] in error.outcome.text for text in ENCODED)
    assert SECRET not in repr(relay)


def own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing: asks which of our addresses it would take
        return str(probe.getsockname()[0])


def test_a_password_crosses_no_network_in_clear(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    try:
        address = own_address()
    except OSError:
        pytest.skip("this machine has no network")
    heard: list[bytes] = []
    offer = b"250-x\r\n250 AUTH PLAIN\r\n"
    relay = Endpoint(address, 0, Tls.OPPORTUNISTIC, "me", SECRET)
    error = left(meet(loop, saying(GREETING, offer, b"235 ok\r\n", heard=heard), relay, at=address))
    assert (error.phase, "was not sent" in error.outcome.text) == (Phase.AUTH, True)
    assert [line[:4] for line in heard] == [b"EHLO"]
    allowed = replace(relay, clear_password=True)
    assert isinstance(meet(loop, saying(GREETING, offer, b"235 ok\r\n"), allowed, at=address), dict)


# -- the relay's URL


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("192.0.2.1", False),
        ("::ffff:192.0.2.1", False),
        ("fe80::1%eth0", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_only_this_very_host_is_loopback(address: str, own: bool) -> None:
    assert is_loopback(address) is own


@pytest.mark.parametrize(
    ("url", "tls", "port"),
    [
        ("smtp://mail.example.org", Tls.STARTTLS, 25),
        ("smtp://me:x@mail.example.org:587", Tls.STARTTLS, 587),
        ("smtp://mail.example.org?starttls=opportunistic", Tls.OPPORTUNISTIC, 25),
        ("smtp://me:x@mail.example.org?starttls=opportunistic", Tls.OPPORTUNISTIC, 25),
        ("smtp://127.0.0.1:2525", Tls.OPPORTUNISTIC, 2525),
        ("smtp://localhost?starttls=required", Tls.STARTTLS, 25),
        ("smtp://[::1]:2525", Tls.OPPORTUNISTIC, 2525),
        ("smtps://mail.example.org", Tls.IMPLICIT, 465),
        ("smtps://127.0.0.1?starttls=opportunistic", Tls.IMPLICIT, 465),
    ],
)
def test_tls_is_verified_unless_the_url_says_otherwise(url: str, tls: Tls, port: int) -> None:
    relay = Endpoint.from_url(url)
    assert (relay.tls, relay.port, relay.clear_password) == (tls, port, False)


def test_a_url_says_the_rest() -> None:
    relay = Endpoint.from_url("smtp://m%40e:%FF@[2001:db8::1]?auth=clear&hello=news.example.org", connections=7)
    assert (relay.host, relay.username, relay.hello) == ("2001:db8::1", "m@e", "news.example.org")
    assert (relay.clear_password, relay.connections) == (True, 7)
    assert relay.password.encode("utf-8", "surrogateescape") == b"\xff"


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=40) | st.sampled_from([GREETING, HELLO, b"220 x\r\n", b"250 x\r\n"]), max_size=6))
def test_whatever_a_server_says_we_leave_or_stay(replies: list[bytes]) -> None:
    relay = Endpoint("127.0.0.1", 0, Tls.OPPORTUNISTIC)

    async def server(reader: Reader, writer: Writer) -> None:
        for reply in replies:
            writer.write(reply)
            await writer.drain()
            await asyncio.sleep(0)

    found = meet(asyncio.new_event_loop, server, relay)
    assert isinstance(found, dict) or found.outcome.verdict in (Verdict.UNSENT, Verdict.OURS, Verdict.TEMPORARY)
