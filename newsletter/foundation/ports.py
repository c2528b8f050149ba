"""Ports on this machine: is one free, does something answer there."""

import socket
from http.client import HTTPConnection, HTTPException  # noqa: TID251  (asks our own programs whether they are up)
from typing import Final

from newsletter.foundation.errors import ConflictError

LOOPBACK: Final = "127.0.0.1"
PATIENCE: Final = 2.0
"""Seconds that a probe waits for an answer."""


def free_or_explain(port: int, option: str, host: str = LOOPBACK) -> None:
    """Return when `port` can be listened on; raise ConflictError naming `option`, the way out, when not."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free to us
        try:
            probe.bind((host, port))
        except PermissionError:
            raise ConflictError(
                f"Port {port} is reserved for the system's administrator. Choose one above 1023 with {option}."
            ) from None
        except OSError as error:
            raise ConflictError(
                f"Port {port} on {host} is not free ({error.strerror}). "
                f"Stop what listens there, or choose another with {option}."
            ) from None


def free_port(host: str = LOOPBACK) -> int:
    """Return a port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def port_answers(port: int, host: str = LOOPBACK) -> bool:
    """Say whether something accepts connections on `port`."""
    try:
        socket.create_connection((host, port), PATIENCE).close()
    except OSError:
        return False
    return True


def page_answers(port: int, path: str, host: str = LOOPBACK) -> bool:
    """Say whether the page at `path` answers over plain HTTP with a status below 400."""
    connection = HTTPConnection(host, port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 400
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
