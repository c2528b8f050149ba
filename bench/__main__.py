"""`python -m bench`: measure, and show what came of it."""

import json
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from bench import composing, digest, hosts, million, signup, slow_relay, throttle, usual
from bench.figures import Figure, document, markdown, table
from bench.measuring import FULL, QUICK, Effort
from tests.servers.given import Missing

Benchmark = Callable[[Effort], Iterable[Figure]]
BENCHMARKS: Final[dict[str, Benchmark]] = {
    "signup-sqlite": partial(signup.measure, "sqlite"),
    "signup-postgresql": partial(signup.measure, "postgresql"),
    "composing": composing.measure,
    "digest-postgresql": digest.on_postgresql,
    "digest-sqlite": digest.on_sqlite,
    "digest-signed": digest.signed,
    "naive": usual.measure,
    "latency-20ms": partial(slow_relay.measure, 0.02),
    "latency-100ms": partial(slow_relay.measure, 0.1),
    "two-hosts": hosts.measure,
    "throttle-redis": throttle.measure,
    "throttle-database": throttle.measure,
    "planning-1000000": million.measure,
    "memory": million.measure,
    "digest-million": million.measure,
}
"""What figures' names begin with, up to a colon. Those that take much of the same are measured by one function."""


def measured(chosen: Sequence[str], effort: Effort) -> Iterator[Figure]:
    """Take the figures and benchmarks that are `chosen`, or all; what cannot be had here is named and left out."""
    wanted = {name.partition(":")[0] for name in chosen} or BENCHMARKS.keys()
    for benchmark in dict.fromkeys(BENCHMARKS[name] for name in BENCHMARKS if name in wanted):
        names = {name for name in wanted if BENCHMARKS[name] is benchmark}
        begun = time.monotonic()
        try:
            for figure in _until_all(names, benchmark(effort)):
                if not chosen or {figure.name, figure.name.partition(":")[0]} & set(chosen):
                    yield figure
        except Missing as missing:
            click.echo(f"{', '.join(sorted(names))}: left out. {missing}", err=True)
        else:
            click.echo(f"{', '.join(sorted(names))}: {time.monotonic() - begun:.0f} s", err=True)


def _until_all(names: set[str], figures: Iterable[Figure]) -> Iterator[Figure]:
    """Give figures until all benchmarks in `names` had theirs: what comes after may take minutes."""
    seen: set[str] = set()
    for figure in figures:
        name = figure.name.partition(":")[0]
        if names <= seen and name not in names:
            return
        seen.add(name)
        yield figure


@click.command()
@click.option("--only", "chosen", multiple=True, metavar="NAME", help="A benchmark or figure; several times for more.")
@click.option("--quick", is_flag=True, help="One short turn of each: to see that it works, not how fast.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the table of docs/performance.md.")
def bench(chosen: tuple[str, ...], quick: bool, as_json: bool, as_markdown: bool) -> None:
    """Measure the service, each figure beside a peer or limit from the same run."""
    unknown = {one.partition(":")[0] for one in chosen} - BENCHMARKS.keys()
    if unknown:
        raise click.BadParameter(f"{', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    figures = list(measured(chosen, QUICK if quick else FULL))
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
