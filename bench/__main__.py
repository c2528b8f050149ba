"""`python -m bench`: measure, and show what came of it."""

import json
import signal
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from bench import composing, digest, memory, signup
from bench.figures import Figure, document, markdown, table
from bench.measuring import FULL, QUICK, Effort
from tests.servers.given import Missing

BENCHMARKS: Final[dict[str, Callable[[Effort], Iterable[Figure]]]] = {
    "signup-sqlite": partial(signup.measure, "sqlite"),
    "signup-postgresql": partial(signup.measure, "postgresql"),
    "digest-sqlite": partial(digest.measure, "sqlite"),
    "digest-postgresql": partial(digest.measure, "postgresql"),
    "composing": composing.measure,
    "memory": memory.measure,
}


def measured(names: Iterable[str], effort: Effort) -> list[Figure]:
    """Take the benchmarks called `names`; what cannot be had on this machine is named and left out."""
    figures: list[Figure] = []
    for name in names:
        begun = time.monotonic()
        try:
            figures += BENCHMARKS[name](effort)
        except Missing as missing:
            click.echo(f"{name}: left out. {missing}", err=True)
        else:
            click.echo(f"{name}: {time.monotonic() - begun:.0f} s", err=True)
    return figures


@click.command()
@click.option("--only", "chosen", multiple=True, metavar="NAME", help="A benchmark or figure; several times for more.")
@click.option("--quick", is_flag=True, help="One short turn of each: to see that it works, not how fast.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the table of docs/performance.md.")
def bench(chosen: tuple[str, ...], quick: bool, as_json: bool, as_markdown: bool) -> None:
    """Measure the service, each figure beside a peer or limit from the same run."""
    wanted = [one.partition(":")[0] for one in chosen] or list(BENCHMARKS)
    unknown = set(wanted) - BENCHMARKS.keys()
    if unknown:
        raise click.BadParameter(f"{', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    figures = [
        figure
        for figure in measured(dict.fromkeys(wanted), QUICK if quick else FULL)
        if not chosen or {figure.name, figure.name.partition(":")[0]} & set(chosen)
    ]
    if as_json:
        click.echo(json.dumps(document(figures), indent=2, ensure_ascii=False))
    elif as_markdown:
        click.echo(markdown(figures))
    else:
        _print(table(figures))


def _print(shown: Table) -> None:
    """Print a table as wide as it is: a narrower terminal breaks its lines, but no figure is cut."""
    console = Console()
    wide = console.measure(shown, options=console.options.update(width=1000)).maximum
    Console(highlight=False, width=max(wide, console.width)).print(shown)


if __name__ == "__main__":
    # What was started is stopped on the way out, also when we are asked to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bench()
