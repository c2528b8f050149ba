"""`newsletter serve` and `newsletter worker`: the two long-running processes."""

import os
from collections.abc import Mapping

import click
from flask import Flask
from flask.cli import ScriptInfo
from gunicorn.app.base import BaseApplication

from newsletter.foundation.queue import Queue, queue
from newsletter.foundation.services import services
from newsletter.tasks import embedded


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
@click.pass_context
def serve(ctx: click.Context, /, host: str, port: int, workers: int | None, threads: int) -> None:
    """Serve the pages with gunicorn."""
    # No context of the application is pushed: the workers would inherit it.
    app = ctx.ensure_object(ScriptInfo).load_app()
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


@click.command()
@click.option("--concurrency", default=2, show_default=True, type=click.IntRange(1), help="Processes, with Redis.")
@click.option("--beat/--no-beat", default=True, show_default=True, help="Also look each minute what is due.")
@click.pass_context
def worker(ctx: click.Context, /, concurrency: int, beat: bool) -> None:
    """Do the work: fetch, plan, send. Embedded, one worker does all of it; with Redis, run as many as you like."""
    # Each task pushes a context of its own, and with it ends its session: one that all of them shared would keep a
    # database connection that was lost, and fail for ever.
    app = ctx.ensure_object(ScriptInfo).load_app()
    with app.app_context():
        settings = services().settings
    if settings.embedded:
        embedded.run(app)
        return
    arguments = ["worker", "--loglevel", settings.log_level, "--concurrency", str(concurrency)]
    arguments += ["--queues", ",".join(Queue)]
    if beat:
        arguments += ["--beat", "--schedule", str(settings.data_dir / "beat-schedule")]
    queue.worker_main(arguments)
