"""A Postfix for tests: the machine's own programs on folders and ports of the test, its mail in a Maildir or passed on.

Postfix starts as root only. Its queue, settings, log and mail live in one temporary folder and go with it.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from newsletter.foundation.ports import LOOPBACK, free_port
from tests.servers.given import Missing
from tests.servers.process import serving

PROGRAM = Path("/usr/sbin/postfix")
_SERVICES = """\
{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
lmtp unix - - n - - lmtp
virtual unix - n n - - virtual
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
showq unix n - n - - showq
postlog unix-dgram n - n - 1 postlogd
"""


@dataclass(frozen=True)
class PostfixServer:
    """A server that takes mail for everybody on `port` of this machine, without asking who you are."""

    port: int
    folder: Path

    @property
    def maildir(self) -> Path:
        """Where mail for whatever address ends, a file each, unless settings send it elsewhere."""
        return self.folder / "mail" / "inbox" / "new"

    def mails(self) -> list[bytes]:
        """Return what was delivered until now, in no certain order, with the CRLF that Postfix keeps as LF."""
        if not self.maildir.exists():
            return []
        return [path.read_bytes().replace(b"\n", b"\r\n") for path in self.maildir.iterdir()]

    def wait_for(self, count: int, within: float = 60.0) -> list[bytes]:
        """Return what was delivered as soon as there are `count` mails; raise TimeoutError with the log's end."""
        deadline = time.monotonic() + within
        while len(found := self.mails()) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(found)} of {count} mails came; Postfix says: {self.log()[-2000:]}")
            time.sleep(0.02)
        return found

    def log(self) -> str:
        """Return what Postfix logged."""
        log = self.folder / "postfix.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def answers(self) -> bool:
        """Say whether the server greets."""
        try:
            with socket.create_connection((LOOPBACK, self.port), 1) as connection:
                return connection.recv(4) == b"220 "
        except OSError:
            return False


@contextlib.contextmanager
def running(settings: Mapping[str, str] | None = None) -> Iterator[PostfixServer]:
    """Give a server until the block ends; `settings` are added to its main.cf. Raises Missing."""
    if not PROGRAM.exists():
        raise Missing("No Postfix: apt-get install postfix")
    if os.geteuid() != 0:
        raise Missing("Postfix starts as root only: run these tests as root")
    # Not under pytest's own folder, which Postfix's user cannot enter; short, for a socket's path may have 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="postfix-"))
    folder.chmod(0o755)
    server = PostfixServer(free_port(), folder)
    try:
        master = _prepare(server, settings or {})
        # Not `postfix start-fg`: its daemon leaves our process group, and would outlive tests that are killed.
        with serving([str(master), "-c", str(folder / "etc"), "-d"], folder, server.answers, signal.SIGTERM):
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _prepare(server: PostfixServer, settings: Mapping[str, str]) -> Path:
    """Write main.cf and master.cf, make the folders that belong to Postfix's user; return the daemon's path."""
    folder, user = server.folder, pwd.getpwnam("postfix")
    for name in ("etc", "queue", "data", "mail"):
        (folder / name).mkdir()
    for name in ("data", "mail"):
        os.chown(folder / name, user.pw_uid, user.pw_gid)
    main = {
        "compatibility_level": "3.6",
        "queue_directory": str(folder / "queue"),
        "data_directory": str(folder / "data"),
        "maillog_file": str(folder / "postfix.log"),
        "maillog_file_prefixes": str(folder),
        "inet_interfaces": LOOPBACK,
        "inet_protocols": "ipv4",
        "myhostname": "mx.example.org",
        "mynetworks": f"{LOOPBACK}/32",
        "mydestination": "",
        "alias_maps": "",
        "alias_database": "",
        "local_recipient_maps": "",
        "disable_dns_lookups": "yes",
        "smtp_host_lookup": "native",
        "smtpd_peername_lookup": "no",
        "smtputf8_autodetect_classes": "all",
        # Every address of every domain ends in one Maildir.
        "virtual_mailbox_domains": "static:all",
        "virtual_mailbox_maps": "static:inbox/",
        "virtual_mailbox_base": str(folder / "mail"),
        "virtual_uid_maps": f"static:{user.pw_uid}",
        "virtual_gid_maps": f"static:{user.pw_gid}",
        **settings,
    }
    (folder / "etc" / "main.cf").write_text("".join(f"{name} = {value}\n" for name, value in main.items()))
    (folder / "etc" / "master.cf").write_text(_SERVICES.format(port=f"{LOOPBACK}:{server.port}"))
    _run(PROGRAM, "-c", folder / "etc", "check")  # makes the queue's folders too
    return Path(_run(PROGRAM.with_name("postconf"), "-c", folder / "etc", "-h", "daemon_directory")) / "master"


def _run(*command: Path | str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise Missing(f"Postfix does not like its settings: {done.stderr.strip()[-500:]}")
    return done.stdout.strip()
