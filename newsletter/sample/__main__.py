"""Serve the sample site on loopback: `python -m newsletter.sample --port 8090`."""

import signal
import socket
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import click

from newsletter.sample.site import HELD_BACK, create_site

HOST = "127.0.0.1"


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # a slow visitor does not delay the end

    def server_bind(self) -> None:
        """Bind without asking the DNS for this machine's name, as the inherited way would."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # its next start needs not wait a minute
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = HOST, self.server_address[1]
        self.setup_environ()


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the inherited name)
        """Say nothing: the demo's own progress is what should be seen."""


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8090, show_default=True, help="0 picks a free one.")
@click.option("--signup-form-url", metavar="URL", help="The newsletter's sign-up page, to link to.")
@click.option(
    "--signup-form",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the newsletter's embeddable form, to show on every page.",
)
@click.option(
    "--held-back", type=click.IntRange(0), default=HELD_BACK, show_default=True, help="Articles kept for later."
)
def main(port: int, signup_form_url: str | None, signup_form: Path | None, held_back: int) -> None:
    """Serve The Sample Gazette on loopback until told to stop."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server = _Server((HOST, port), _Quiet)
    except OSError as error:
        message = f"Port {port} cannot be used ({error.strerror}). Choose another with --port, or 0 for any."
        raise click.ClickException(message) from None
    with server:
        address = f"http://{HOST}:{server.server_port}"
        markup = signup_form.read_text(encoding="utf-8") if signup_form else None
        server.set_app(
            create_site(address, signup_url=signup_form_url, signup_html=markup, held_back=held_back).wsgi_app
        )
        click.echo(f"The Sample Gazette is at {address}/")
        try:
            server.serve_forever(poll_interval=0.1)
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
