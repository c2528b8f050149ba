"""`newsletter serve` and `newsletter worker`: the two long-running processes."""

import os
import sys

import click
from flask import current_app
from flask.cli import with_appcontext

from newsletter.foundation.queue import Queue, queue
from newsletter.foundation.services import services
from newsletter.tasks import embedded


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; a proxy stands before it.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: 1 when embedded, else one per core]")
@click.option("--threads", default=8, show_default=True, type=click.IntRange(1), help="Threads in each process.")
@with_appcontext
def serve(host: str, port: int, workers: int | None, threads: int) -> None:
    """Serve the pages with gunicorn, which takes the place of this process."""
    settings = services().settings
    count = workers or (1 if settings.embedded else os.cpu_count() or 1)
    bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    arguments = ["--bind", bind, "--workers", str(count), "--worker-class", "gthread", "--threads", str(threads)]
    os.execv(  # noqa: S606  (no shell; the arguments are ours)
        sys.executable,
        [sys.executable, "-m", "gunicorn", *arguments, "--no-control-socket", "newsletter.app:create_app()"],
    )


@click.command()
@click.option("--concurrency", default=2, show_default=True, type=click.IntRange(1), help="Processes, with Redis.")
@click.option("--beat/--no-beat", default=True, show_default=True, help="Also look each minute what is due.")
@with_appcontext
def worker(concurrency: int, beat: bool) -> None:
    """Do the work: fetch, plan, send. Embedded, one worker does all of it; with Redis, run as many as you like."""
    settings = services().settings
    if settings.embedded:
        # The context's own object stands for the application; the worker outlives this context.
        embedded.run(current_app._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001  (werkzeug's documented way)
        return
    arguments = ["worker", "--loglevel", settings.log_level, "--concurrency", str(concurrency)]
    arguments += ["--queues", ",".join(Queue)]
    if beat:
        arguments += ["--beat", "--schedule", str(settings.data_dir / "beat-schedule")]
    queue.worker_main(arguments)
