"""The SMTP side: takes every message from whoever asks on loopback."""

import asyncio

from aiosmtpd.smtp import SMTP, Envelope, Session

from newsletter.catcher.mailbox import Mailbox
from newsletter.foundation.clock import utc_now
from newsletter.foundation.ports import LOOPBACK


class Receiver:
    """What aiosmtpd calls once a message has come in whole."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: ARG002, N802  (aiosmtpd's signature)
        """Keep the message; a full disk is told as a temporary failure."""
        try:
            # Without await: a millisecond on local disk, and messages keep their order.
            number = self._mailbox.add(
                envelope.original_content or b"", envelope.mail_from or "", envelope.rcpt_tos, utc_now()
            )
        except OSError as error:
            return f"452 4.3.1 Not kept: {error.strerror}"
        return f"250 2.0.0 Caught as {number}"


async def listen(mailbox: Mailbox, port: int, host: str = LOOPBACK) -> asyncio.Server:
    """Take messages into `mailbox` on `port` (0 picks a free one) until the server is closed."""
    loop = asyncio.get_running_loop()
    receiver = Receiver(mailbox)
    # The name is given, because aiosmtpd would ask the DNS for it at every connection.
    return await loop.create_server(
        lambda: SMTP(receiver, hostname="localhost", ident="Mail catcher", enable_SMTPUTF8=True, loop=loop), host, port
    )
