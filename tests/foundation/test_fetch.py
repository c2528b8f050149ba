"""The one way out, against a real server on loopback and a resolver of our own. Opens sockets on 127.0.0.1."""

import contextlib
import datetime
import gzip
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from newsletter.foundation.errors import FetchError, TemporaryFetchError
from newsletter.foundation.fetch import Fetched, Fetcher, GoneError, RefusedError, retry_after
from newsletter.foundation.targets import read_target

NOW = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC)
OK = b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "a"\r\n\r\nhello'

STORED = b"\x00\x01\x00\xfe\xffx"
"""A deflate block that holds one byte and is not the last (RFC 1951 section 3.2.4)."""

Answer = Callable[[socket.socket, str], None]


class Server:
    """Answer each path with prepared bytes, or let a function do worse; remember what was asked."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, bytes | Answer] = {}
        self.requests: list[str] = []
        self._tls = tls
        self._stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stop.is_set():
            connection, _ = self._listener.accept()
            with contextlib.suppress(OSError), connection:
                if self._stop.is_set():
                    return
                if self._tls is not None:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                connection.settimeout(20)
                self._answer(connection)
                connection.close()

    def _answer(self, connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(4096)
            if not piece:
                return
            head += piece
        request = head.decode("latin-1")
        self.requests.append(request)
        answer = self.answers.get(request.split()[1], b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        if callable(answer):
            answer(connection, request)
        else:
            connection.sendall(answer)

    def close(self) -> None:
        self._stop.set()
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._thread.join()
        self._listener.close()

    def url(self, path: str = "/feed") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


def certificate(folder: Path, name: str) -> ssl.SSLContext:
    """Make a server context for `name`, signed by itself; the certificate lies in folder/cert.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.datetime(2020, 1, 1))
        .not_valid_after(datetime.datetime(2049, 1, 1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def fetcher(server: Server, **more: object) -> Fetcher:
    settings: dict[str, object] = {
        "allow_hosts": frozenset({f"127.0.0.1:{server.port}"}), "total_deadline": 5, "clock": lambda: NOW,
    }  # fmt: skip
    return Fetcher(**settings | more)  # type: ignore[arg-type]  # each test names the arguments it needs


def redirect(to: str, status: str = "302 Found") -> bytes:
    return f"HTTP/1.1 {status}\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()


def error_of(server: Server, path: str = "/feed", **more: object) -> FetchError:
    with pytest.raises(FetchError) as caught:
        fetcher(server, **more).fetch(server.url(path))
    return caught.value


class Names:
    """A resolver that gives its answers in turn, then the last one for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def test_a_document_comes_with_its_headers(server: Server) -> None:
    server.answers["/feed"] = OK
    got = fetcher(server).fetch(server.url() + "#part")
    assert got == Fetched(server.url(), 200, {"content-length": "5", "etag": '"a"'}, b"hello", None)
    assert f"Host: 127.0.0.1:{server.port}\r\n" in server.requests[0]
    assert "User-Agent: newsletter/" in server.requests[0]
    assert "Cookie" not in server.requests[0]


def test_validators_are_sent_as_they_came_and_304_is_an_answer(server: Server) -> None:
    server.answers["/feed"] = b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n'
    got = fetcher(server).fetch(server.url(), etag='W/"\xe4:1"', last_modified="Sun, 22 Nov 2026 10:00:00 GMT")
    assert got.unchanged
    assert got.body == b""
    assert 'If-None-Match: W/"\xe4:1"\r\n' in server.requests[0]
    assert "If-Modified-Since: Sun, 22 Nov 2026 10:00:00 GMT\r\n" in server.requests[0]


def test_a_validator_with_a_line_break_smuggles_no_header(server: Server) -> None:
    server.answers["/feed"] = OK
    fetcher(server).fetch(server.url(), etag='"a"\r\nX-Evil: 1', last_modified="x\ny")
    assert "Evil" not in server.requests[0]
    assert "If-" not in server.requests[0]


def test_304_that_nobody_asked_for_is_an_error(server: Server) -> None:
    server.answers["/feed"] = b"HTTP/1.1 304 Not Modified\r\n\r\n"
    assert error_of(server).retry


@pytest.mark.parametrize(
    ("status", "retry"),
    [
        (400, False),
        (401, False),
        (403, False),
        (404, False),
        (408, True),
        (429, True),
        (500, True),
        (503, True),
        (999, True),
    ],
)
def test_a_bad_status_says_whether_to_come_back(server: Server, status: int, retry: bool) -> None:
    server.answers["/feed"] = f"HTTP/1.1 {status} Secret words\r\nContent-Length: 6\r\n\r\nsecret".encode()
    problem = error_of(server)
    assert (problem.status, problem.retry) == (status, retry)
    assert str(status) in str(problem)
    assert "ecret" not in str(problem)


def test_410_means_gone(server: Server) -> None:
    server.answers["/feed"] = b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"
    assert isinstance(error_of(server), GoneError)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("Sun, 22 Nov 2026 12:05:00 GMT", 300),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("9" * 40, None),
        ("Sun, 99 Nov 99999 12:05:00 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(server: Server, value: str, seconds: int | None) -> None:
    assert retry_after({"retry-after": value}, NOW) == seconds
    server.answers["/feed"] = f"HTTP/1.1 503 Busy\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n".encode()
    assert error_of(server).retry_after == seconds


def test_redirects_are_followed_and_only_leading_permanent_ones_move_the_source(server: Server) -> None:
    server.answers |= {
        "/feed": redirect("/b", "301 Moved Permanently"),
        "/b": redirect(server.url("/c?x=1"), "302 Found"),
        "/c?x=1": redirect("d", "308 Permanent Redirect"),
        "/d": OK,
    }
    got = fetcher(server).fetch(server.url())
    assert got.url == server.url("/d")
    assert got.permanent_url == server.url("/b")


def test_a_temporary_redirect_moves_nothing(server: Server) -> None:
    server.answers |= {"/feed": redirect("/b"), "/b": OK}
    assert fetcher(server).fetch(server.url()).permanent_url is None


def test_a_circle_of_redirects_ends(server: Server) -> None:
    server.answers["/feed"] = redirect("/feed")
    assert "redirected more than 3 times" in str(error_of(server))
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1:1/",
        "http://localhost/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://017700000001/",
        "http://0/",
        "http://192.0.0.192/",
        "http://100.100.100.200/",
        "http://224.0.0.1/",
        "http://user:pw@example.org/",
        "http://8.8.8.8:22/",
        "file:///etc/passwd",
        "gopher://example.org/",
        "ftp://example.org/",
        "//169.254.169.254/",
        "http://①②⑦.0.0.1/",
        "http://127.0.0.1\\@example.org/",
    ],
)
def test_nothing_leads_off_the_public_internet(server: Server, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    real = socket.create_connection

    def note(at: tuple[str, int], timeout: float) -> socket.socket:
        opened.append(at)
        return real(at, timeout=timeout)

    monkeypatch.setattr(socket, "create_connection", note)
    server.answers["/feed"] = redirect(target)
    problem = error_of(server)
    assert not problem.retry
    assert opened == [("127.0.0.1", server.port)]  # the first hop, which is allowed by name
    with pytest.raises(FetchError):
        Fetcher().fetch(target)
    assert len(opened) == 1


def test_an_allowed_host_is_allowed_on_its_port_only(server: Server) -> None:
    server.answers["/feed"] = OK
    with pytest.raises(RefusedError):
        Fetcher(allow_hosts=frozenset({"127.0.0.1:1", "localhost"})).fetch(server.url())
    assert server.requests == []
    assert Fetcher(allow_hosts=frozenset({"127.0.0.1"})).fetch(server.url()).body == b"hello"


def test_one_private_answer_among_public_ones_spoils_them_all() -> None:
    names = Names(["93.184.216.34", "127.0.0.1"])
    with pytest.raises(RefusedError, match="private network"):
        Fetcher(resolver=names).fetch("http://news.example/")


def test_a_name_is_resolved_once_and_the_judged_address_is_the_one_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = Names(["93.184.216.34"], ["127.0.0.1"])
    tried: list[object] = []

    def refuse(at: object, **more: object) -> socket.socket:
        tried.append(at)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(TemporaryFetchError, match="does not accept"):
        Fetcher(resolver=names).fetch("http://rebinding.example/")
    assert names.asked == ["rebinding.example"]
    assert tried == [("93.184.216.34", 80)]


def test_a_connection_that_ends_elsewhere_is_dropped(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.create_connection
    monkeypatch.setattr(socket, "create_connection", lambda at, timeout: real(("127.0.0.1", server.port), timeout))
    with pytest.raises(FetchError, match="another address"):
        Fetcher(resolver=Names(["93.184.216.34"])).fetch("http://news.example/")
    assert server.requests == []


def test_the_name_goes_into_the_host_header(server: Server) -> None:
    server.answers["/feed"] = OK
    own = fetcher(server, allow_hosts=frozenset({"news.example"}), resolver=Names(["::1", "127.0.0.1"]))
    assert own.fetch(f"http://NEWS.example.:{server.port}/feed").body == b"hello"
    assert f"Host: news.example:{server.port}\r\n" in server.requests[0]


def test_an_unknown_host_is_said_plainly() -> None:
    def nobody(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(TemporaryFetchError, match=r"no host called news\.example"):
        Fetcher(resolver=nobody).fetch("http://news.example/")


def test_a_name_server_that_hangs_does_not_hold_the_fetch() -> None:
    released = threading.Event()

    def hang(host: str, port: int) -> Sequence[str]:
        released.wait(30)
        return []

    with pytest.raises(TemporaryFetchError, match="in time"):
        Fetcher(resolver=hang, total_deadline=0.2).fetch("http://news.example/")
    released.set()


def test_credentials_stay_with_the_first_origin(server: Server) -> None:
    other = Server()
    try:
        server.answers |= {"/feed": redirect("/again"), "/again": redirect(other.url("/feed"))}
        other.answers["/feed"] = OK
        both = frozenset({f"127.0.0.1:{server.port}", f"127.0.0.1:{other.port}"})
        fetcher(server, allow_hosts=both).fetch(server.url(), authorization=("desk", "sésame"))
        assert ["Authorization: Basic ZGVzazpzw6lzYW1l" in request for request in server.requests] == [True, True]
        assert "Authorization" not in other.requests[0]
    finally:
        other.close()


def drip(head: bytes, drop: bytes) -> Answer:
    """Send `head`, then `drop` each 20 ms until the peer hangs up."""

    def answer(connection: socket.socket, request: str) -> None:
        connection.sendall(head)
        pause = threading.Event()
        while True:
            connection.sendall(drop)
            pause.wait(0.02)

    return answer


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\n", b"X"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"", mtime=0)[:10], STORED),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
    ],
)
def test_a_dripping_server_is_left_at_the_deadline(server: Server, head: bytes, drop: bytes) -> None:
    server.answers["/feed"] = drip(head, drop)
    problem = error_of(server, total_deadline=0.4)
    assert problem.retry
    assert "answered completely after 0.4 s" in str(problem) or "no valid HTTP" in str(problem)


def test_a_silent_server_is_left_after_the_timeout(server: Server) -> None:
    def wait(connection: socket.socket, request: str) -> None:
        connection.recv(1)

    server.answers["/feed"] = wait
    assert "stayed silent for 0.2 s" in str(error_of(server, timeout=0.2))


def test_a_body_without_end_is_left_at_the_limit(server: Server) -> None:
    def flood(connection: socket.socket, request: str) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    server.answers["/feed"] = flood
    assert str(error_of(server, max_bytes=1_000_000)) == "The answer is larger than 1 MB."


def test_a_body_announced_too_large_is_not_read(server: Server) -> None:
    server.answers["/feed"] = b"HTTP/1.1 200 OK\r\nContent-Length: 6000000\r\n\r\n"
    assert "larger than 5 MB" in str(error_of(server))


def test_compressed_answers_are_unpacked_and_bombs_are_not(server: Server) -> None:
    def gzipped(text: bytes) -> bytes:
        packed = gzip.compress(text)
        return b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed

    server.answers |= {"/feed": gzipped(b"hello"), "/bomb": gzipped(b"\0" * 50_000_000)}
    assert fetcher(server).fetch(server.url()).body == b"hello"
    assert "Accept-Encoding: gzip, deflate, br\r\n" in server.requests[0]
    assert not error_of(server, "/bomb").retry


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"220 mail.example ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\nContent-Encoding: gzip\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_whole_http_answer_may_be_tried_again(server: Server, answer: bytes) -> None:
    server.answers["/feed"] = answer
    assert error_of(server).retry


def test_a_redirect_to_nonsense_is_an_error_of_ours(server: Server) -> None:
    for place in ("http://[", "http://a:b/", "\xff\xfe", "http://" + "a" * 3000, "http://..", "?" * 10):
        server.answers["/feed"] = b"HTTP/1.1 302 Found\r\nLocation: " + place.encode("latin-1") + b"\r\n\r\n"
        error_of(server)


def test_tls_checks_the_name_and_redirects_never_lose_it(tmp_path: Path) -> None:
    secure = Server(certificate(tmp_path, "news.example"))
    secure.answers |= {"/feed": OK, "/down": redirect("http://news.example/feed")}
    try:
        hosts = frozenset({"news.example", "other.example"})
        trust = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        own = Fetcher(allow_hosts=hosts, resolver=Names(["127.0.0.1"]), tls=trust, total_deadline=5)
        assert own.fetch(f"https://news.example:{secure.port}/feed").body == b"hello"
        with pytest.raises(RefusedError, match="https to http"):
            own.fetch(f"https://news.example:{secure.port}/down")
        with pytest.raises(FetchError, match="certificate is not valid") as caught:
            own.fetch(f"https://other.example:{secure.port}/feed")
        assert not caught.value.retry
        with pytest.raises(FetchError, match="certificate is not valid"):
            Fetcher(allow_hosts=hosts, resolver=Names(["127.0.0.1"])).fetch(f"https://news.example:{secure.port}/feed")
        assert len(secure.requests) == 2
    finally:
        secure.close()


def test_a_handshake_that_never_ends_is_left_at_the_deadline() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    try:
        port = listener.getsockname()[1]
        with pytest.raises(TemporaryFetchError, match=r"0\.3 s"):
            Fetcher(allow_hosts=frozenset({"127.0.0.1"}), total_deadline=0.3).fetch(f"https://127.0.0.1:{port}/")
    finally:
        listener.close()


def test_names_become_ascii_and_paths_are_encoded() -> None:
    target = read_target("https://Exämple.de:443/ä?q=ü#x")
    assert target.url == "https://xn--exmple-cua.de/%C3%A4?q=%C3%BC"
    assert target.authority == "xn--exmple-cua.de"
