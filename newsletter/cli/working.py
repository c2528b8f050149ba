"""`newsletter worker`: the work."""

import click
from flask.cli import ScriptInfo

from newsletter.foundation.queue import Queue, queue
from newsletter.foundation.services import services
from newsletter.tasks import embedded


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
