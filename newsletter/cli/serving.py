"""`newsletter serve`: the pages."""

import os
from collections.abc import Mapping

import click
from flask import Flask
from flask.cli import ScriptInfo
from gunicorn.app.base import BaseApplication

from newsletter.foundation.services import services


class _Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn around an application that is there already: so it is imported once, before the workers are forked."""

    def __init__(self, app: Flask, options: Mapping[str, object]) -> None:
        self._app = app
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        return self._app


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; a proxy stands before it.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: 1 when embedded, else one per core]")
@click.option("--threads", default=8, show_default=True, type=click.IntRange(1), help="Threads in each process.")
def serve(host: str, port: int, workers: int | None, threads: int) -> None:
    """Serve the pages with gunicorn."""
    # The one command that needs pages. Flask finds them by their name: this room does not import that one. No context
    # of the application is pushed: the workers would inherit it.
    app = ScriptInfo("newsletter.app:create_app", set_debug_flag=False).load_app()
    with app.app_context():
        settings = services().settings
    options = {
        "bind": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "workers": workers or (1 if settings.embedded else os.cpu_count() or 1),
        "worker_class": "gthread",
        "threads": threads,
        "control_socket_disable": True,
    }
    _Server(app, options).run()
