"""Open a connection to a vetted address for the fetcher, under one deadline that nothing can stretch."""

import functools
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

from newsletter.foundation.addresses import is_literal
from newsletter.foundation.clock import monotonic
from newsletter.foundation.errors import FetchError, TemporaryFetchError
from newsletter.foundation.targets import Target

Resolver = Callable[[str, int], Sequence[str]]
"""Take a host name and a port, return IP addresses; raise OSError when there are none."""

MAX_TRIES: Final = 4
"""Addresses of one host that are tried."""


class Deadline:
    """End a fetch after `seconds` by shutting its socket, however slowly the peer drips.

    Timeouts on a socket start anew with each byte; only a second thread can end such a read.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends = monotonic() + seconds
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._expired = False
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def watch(self, sock: socket.socket) -> None:
        """Be ready to shut `sock`, also after TLS has taken its descriptor over."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
            self._socket = sock.dup()
        self.check()

    def remaining(self) -> float:
        """Return the seconds left; raise when there are none."""
        self.check()
        return max(0.001, self._ends - monotonic())

    def check(self) -> None:
        """Raise TemporaryFetchError when the time is over."""
        if self._expired or monotonic() >= self._ends:
            raise TemporaryFetchError(f"The server had not answered completely after {self._seconds:g} s.")

    def _expire(self) -> None:
        with self._lock:
            self._expired = True
            if self._socket is not None:
                try:
                    self._socket.shutdown(socket.SHUT_RDWR)
                except OSError:
                    return  # the peer was faster


def system_resolver(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver; addresses in the order in which it would have them tried."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def resolve(resolver: Resolver, target: Target, deadline: Deadline) -> list[str]:
    """Return the addresses of the target's host: one resolution, waited for no longer than the deadline."""
    if is_literal(target.host):
        return [target.host]
    answers: queue.SimpleQueue[Sequence[str] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(resolver(target.host, target.port))
        except (OSError, UnicodeError) as problem:
            answers.put(problem if isinstance(problem, OSError) else OSError(str(problem)))

    threading.Thread(target=ask, daemon=True, name="resolve").start()
    try:
        answer = answers.get(timeout=deadline.remaining())
    except queue.Empty:
        raise TemporaryFetchError(f"The name {target.host} could not be looked up in time.") from None
    if isinstance(answer, OSError) or not answer:
        raise TemporaryFetchError(f"There is no host called {target.host}, or its name server does not answer.")
    return list(answer)


def connect(
    addresses: Sequence[str], target: Target, timeout: float, deadline: Deadline, tls: ssl.SSLContext | None
) -> socket.socket:
    """Connect to the first of `addresses` that answers, with TLS for the target's name under https.

    Raises TemporaryFetchError when none answers, and ssl.SSLError.
    """
    for address in addresses[:MAX_TRIES]:
        try:
            sock = socket.create_connection((address, target.port), timeout=min(timeout, deadline.remaining()))
        except OSError:
            continue
        try:
            _check_peer(sock, address)
            deadline.watch(sock)
            sock.settimeout(timeout)
            if target.scheme == "https":
                sock = (tls or _system_trust()).wrap_socket(sock, server_hostname=target.host)
        except BaseException:
            sock.close()
            raise
        return sock
    deadline.check()
    raise TemporaryFetchError(f"{target.host} does not accept connections.")


@functools.cache
def _system_trust() -> ssl.SSLContext:
    return ssl.create_default_context()


def _check_peer(sock: socket.socket, address: str) -> None:
    peer = str(sock.getpeername()[0]).partition("%")[0]
    wanted = address.partition("%")[0]
    if socket.inet_pton(sock.family, peer) != socket.inet_pton(sock.family, wanted):
        raise FetchError("The connection led to another address than the one that was checked.")
