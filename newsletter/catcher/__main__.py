"""Catch mail: `python -m newsletter.catcher --smtp-port 1025 --http-port 8025 --folder var/caught`."""

import asyncio
import signal
import threading
from pathlib import Path

import click
from werkzeug.serving import WSGIRequestHandler, make_server

from newsletter.catcher.inbox import create_inbox
from newsletter.catcher.mailbox import KEEP, Mailbox
from newsletter.catcher.receiver import listen
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.ports import LOOPBACK, free_or_explain


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        """Say nothing: what comes in is seen in the inbox."""


async def catch(folder: Path, keep: int, smtp_port: int, http_port: int) -> None:
    """Catch mail and serve the inbox until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    web = make_server(LOOPBACK, http_port, create_inbox(folder), threaded=True, request_handler=_Quiet)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    with Mailbox(folder, keep) as mailbox:
        smtp = await listen(mailbox, smtp_port)
        where = smtp.sockets[0].getsockname()[1]
        click.echo(f"Catching mail at smtp://{LOOPBACK}:{where}; the inbox is at http://{LOOPBACK}:{web.server_port}/")
        await stop.wait()
        smtp.close()
    web.shutdown()
    web.server_close()


@click.command()
@click.option("--smtp-port", type=click.IntRange(0, 65535), default=1025, show_default=True, help="0 picks a free one.")
@click.option("--http-port", type=click.IntRange(0, 65535), default=8025, show_default=True, help="0 picks a free one.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="Where messages go.")
@click.option("--keep", type=click.IntRange(1), default=KEEP, show_default=True, help="Messages; the oldest make room.")
def main(smtp_port: int, http_port: int, folder: Path, keep: int) -> None:
    """Catch mail on loopback and show it in a web inbox."""
    try:
        free_or_explain(smtp_port, "--smtp-port")
        free_or_explain(http_port, "--http-port")
    except NewsletterError as error:
        raise click.ClickException(str(error)) from error
    asyncio.run(catch(folder, keep, smtp_port, http_port))


if __name__ == "__main__":
    main()
