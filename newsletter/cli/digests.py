"""`newsletter digests`: see the coming digest, and send it."""

import getpass
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click
from flask.cli import AppGroup

from newsletter.audience import addresses, cadences, subscribers
from newsletter.audience.models import Cadence
from newsletter.cli import report
from newsletter.delivery import manual
from newsletter.delivery import preview as previewing
from newsletter.digests import forecast
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.errors import NotFoundError
from newsletter.tasks import ringing

group: Final = AppGroup("digests", help="See the coming digest, and send it.")


@group.command("list")
@report.as_json
def list_(as_json: bool) -> None:
    """Show the cadences and what their next digests hold."""
    now, session = utc_now(), db.session()
    found = []
    for cadence in cadences.listed(session):
        ahead = forecast.forecast(session, cadence, now)
        found.append(
            {
                "cadence": cadence.slug,
                "name": cadence.name,
                "weekdays": cadence.weekdays,
                "hour": f"{cadence.hour:02}:{cadence.minute:02}",
                "readers": ahead.readers,
                "articles": ahead.articles,
                "next": ahead.first.instant if ahead.first else None,
            }
        )
    report.rows(found, as_json, title="Digests", empty="There is no cadence. `newsletter init` makes the usual ones.")


@group.command()
@click.argument("cadence")
@click.option("--as", "address", help="The reader whose digest it is; without, everything that is new.")
@click.option("--text", "only_text", is_flag=True, help="Print only the text part.")
@click.option("--html", "html_path", type=click.Path(path_type=Path, dir_okay=False), help="Write the HTML part there.")
@report.as_json
def preview(cadence: str, address: str | None, only_text: bool, html_path: Path | None, as_json: bool) -> None:
    """Show the digest as a reader would get it now. Sends nothing."""
    session, now = db.session(), utc_now()
    found = cadences.by_slug(session, cadence)
    rendered = previewing.preview(session, found, _reader(address), now)
    if html_path is not None:
        html_path.write_text(rendered.html, encoding="utf-8")
    if as_json:
        ahead = asdict(forecast.forecast(session, found, now))
        for name in ("first", "last"):
            ahead[name] = ahead[name] and ahead[name][1]
        report.document({"forecast": ahead, **asdict(rendered)})
    else:
        click.echo(rendered.text if only_text else f"Subject: {rendered.subject}\n\n{rendered.text}")


@group.command()
@click.argument("cadence")
@click.option("--test", "to", metavar="ADDRESS", help="Send only a test, marked as one, to this address.")
@click.option("--as", "address", help="With --test: the reader whose digest it is.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@report.as_json
def send(cadence: str, to: str | None, address: str | None, yes: bool, as_json: bool) -> None:
    """Send the cadence's digest now, to all its readers; two orders at once make one run."""
    found = cadences.by_slug(db.session(), cadence)
    if to is not None:
        _test(found, to, address, as_json)
        return
    now = utc_now()
    key = manual.key(db.session(), found.id)
    ahead = forecast.forecast(db.session(), found, now)
    if not yes:
        question = f"Send “{found.name}” to {ahead.readers:,} readers, with {ahead.articles:,} new articles?"
        click.confirm(question, abort=True, err=True)
    with transaction() as session:
        run, new = manual.send(session, found.id, key, _who(), utc_now())
    ringing.ring(ringing.SEND)
    report.facts(
        {
            "run": run.id,
            "new": new,
            "state": run.state.value,
            "skip_reason": run.skip_reason,
            "readers": run.readers,
            "articles": run.articles,
        },
        as_json,
    )


def _test(cadence: Cadence, to: str, address: str | None, as_json: bool) -> None:
    to = addresses.check(to)
    message = previewing.compose_test(db.session(), cadence, _reader(address), to, utc_now())
    outcome = previewing.send_now(db.session(), cadence, message, utc_now())
    report.facts({"to": to, "bytes": len(message.content), "reply": f"{outcome.code} {outcome.text}"}, as_json)


def _who() -> str:
    """Return whose name the run carries."""
    try:
        return f"{getpass.getuser()} (command line)"
    except (OSError, KeyError):  # a process whose user has no name, as in some containers
        return "command line"


def _reader(address: str | None) -> int | None:
    if address is None:
        return None
    reader = subscribers.by_address(db.session(), address)
    if reader is None:
        raise NotFoundError(f"There is no reader with the address {address}.")
    return reader.id
