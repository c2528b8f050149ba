"""How commands answer: a table for people, one JSON document for programs (`--json`)."""

import datetime
import enum
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

as_json: Final = click.option("--json", "as_json", is_flag=True, help="Answer with JSON.")
"""The flag of every command that reports."""


def document(value: object) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(value, default=_plain, indent=2))


def line(value: object) -> None:
    """Print one JSON document on a line of its own."""
    click.echo(json.dumps(value, default=_plain))


def rows(found: Sequence[Mapping[str, Any]], as_json: bool, *, title: str, empty: str) -> None:
    """Print rows that share their keys: as a list of objects, or as a table; `empty` says the next step."""
    if as_json:
        document(list(found))
    elif not found:
        click.echo(empty)
    else:
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
        for name, value in found[0].items():
            table.add_column(name.replace("_", " "), justify="right" if _is_number(value) else "left")
        for row in found:
            table.add_row(*(Text(_cell(name, value)) for name, value in row.items()))
        _print(table)


def facts(found: Mapping[str, Any], as_json: bool) -> None:
    """Print named values: as one object, or line by line."""
    if as_json:
        document(found)
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in found.items():
        table.add_row(Text(name.replace("_", " "), style="bold"), Text(_cell(name, value)))
    _print(table)


def say(*lines: str) -> None:
    """Tell a person something that is no part of the answer: on standard error."""
    for text in lines:
        click.echo(text, err=True)


def _print(table: Table) -> None:
    """Print as wide as the table needs where nobody's terminal limits it, so that nothing is cut in a pipe."""
    console = Console(highlight=False)
    if not console.is_terminal:
        wide = console.options.update(width=10_000)
        console = Console(highlight=False, width=max(console.measure(table, options=wide).maximum, 80))
    console.print(table)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(name: str, value: object) -> str:
    """Write one value; an id is a name, not a quantity."""
    return str(value) if isinstance(value, int) and name in ("id", "run", "run_id") else _words(value)


def _words(value: object) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, datetime.datetime):
        return f"{value:%Y-%m-%d %H:%M} UTC"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_words(item)}" for name, item in value.items()) or "–"
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ", ".join(_words(item) for item in value) or "–"
    return str(value)


def _plain(value: object) -> object:
    """Return what JSON knows for what it does not."""
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, enum.Enum):
        return value.value
    raise TypeError(f"{type(value).__name__} has no JSON form")
