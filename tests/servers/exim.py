"""An Exim for tests: another mail server than Postfix, its mail in a Maildir.

Debian lets only one of the two be installed, so TEST_EXIM may name a program that was merely unpacked. It wants to run
as a user Debian-exim; where there is none, it is shown one in a mount namespace of its own.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from newsletter.foundation.ports import LOOPBACK, free_port
from tests.servers.binaries import works
from tests.servers.given import Missing, given
from tests.servers.process import serving

_USER = "Debian-exim"
_SETTINGS = """\
exim_path = {program}
exim_user = nobody
exim_group = nogroup
spool_directory = {folder}/spool
log_file_path = {folder}/%s.txt
primary_hostname = mx.example.org
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
pid_file_path = {folder}/pid
keep_environment =
host_lookup =
rfc1413_hosts =
tls_advertise_hosts =
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
acl_smtp_rcpt = recipient
acl_smtp_data = content
begin acl
recipient:
  deny local_parts = refused
       message = 5.1.1 no such user
  accept
content:
  accept
begin routers
everybody:
  driver = accept
  transport = folder
begin transports
folder:
  driver = appendfile
  directory = {folder}/mail
  maildir_format
  create_directory = false
  user = nobody
  group = nogroup
"""


@dataclass(frozen=True)
class EximServer:
    """A server that takes mail for everybody but `refused@…` on `port` of this machine."""

    port: int
    folder: Path

    def mails(self) -> list[bytes]:
        """Return what was delivered until now, in no certain order, with the CRLF that Exim keeps as LF."""
        return [path.read_bytes().replace(b"\n", b"\r\n") for path in (self.folder / "mail" / "new").iterdir()]

    def wait_for(self, count: int, within: float = 60.0) -> list[bytes]:
        """Return what was delivered as soon as there are `count` mails. Raises TimeoutError."""
        deadline = time.monotonic() + within
        while len(found := self.mails()) < count:
            if time.monotonic() > deadline:
                log = " ".join(path.read_text()[-1000:] for path in self.folder.glob("*.txt"))
                raise TimeoutError(f"{len(found)} of {count} mails came; Exim says: {log}")
            time.sleep(0.02)
        return found

    def answers(self) -> bool:
        """Say whether the server greets."""
        try:
            with socket.create_connection((LOOPBACK, self.port), 1) as connection:
                return connection.recv(4) == b"220 "
        except OSError:
            return False


@contextlib.contextmanager
def running() -> Iterator[EximServer]:
    """Give a server until the block ends. Raises Missing."""
    program = given("TEST_EXIM") or shutil.which("exim4") or shutil.which("exim4", path="/usr/sbin")
    if program is None:
        raise Missing("No Exim: set TEST_EXIM to the path of exim4, see .ci/run")
    if os.geteuid() != 0:
        raise Missing("Exim starts as root only: run these tests as root")
    folder = Path(tempfile.mkdtemp(prefix="exim-"))
    nobody = pwd.getpwnam("nobody")
    folder.chmod(0o755)
    for name in ("", "spool", "mail", "mail/new", "mail/cur", "mail/tmp"):
        (folder / name).mkdir(exist_ok=True)
        os.chown(folder / name, nobody.pw_uid, nobody.pw_gid)
    server = EximServer(free_port(), folder)
    settings = folder / "exim.conf"
    settings.write_text(_SETTINGS.format(folder=folder, port=server.port, program=program))
    try:
        argv = [*_with_its_user(folder), program, "-C", str(settings), "-bdf"]
        with serving(argv, folder, server.answers, signal.SIGTERM):
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _with_its_user(folder: Path) -> Sequence[str]:
    """Return the words to put before the command so that there is a user Debian-exim."""
    with contextlib.suppress(KeyError):
        pwd.getpwnam(_USER)
        return ()
    users, groups = folder / "passwd", folder / "group"
    users.write_text(Path("/etc/passwd").read_text() + f"{_USER}:x:65534:65534::/nonexistent:/usr/sbin/nologin\n")
    groups.write_text(Path("/etc/group").read_text() + f"{_USER}:x:65534:\n")
    script = f'mount --bind {users} /etc/passwd && mount --bind {groups} /etc/group && exec "$@"'
    before = ("unshare", "-m", "sh", "-c", script, "sh")
    if not works(*before, "true"):
        raise Missing(f"Exim needs its user: adduser --system --group {_USER}")
    return before
