"""`newsletter limits`: how much the providers behind the relays are sent, and who is slowed down."""

from typing import Final

import click
from flask.cli import AppGroup

from newsletter.cli import report
from newsletter.delivery import host_limits, slowdowns
from newsletter.delivery.models import HostLimit
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction

group: Final = AppGroup("limits", help="How much the providers behind the relays are sent.")


@group.command("list")
@report.as_json
def list_(as_json: bool) -> None:
    """Show the limits for groups of mail hosts."""
    found = [_row(limit) for limit in host_limits.host_limits(db.session())]
    report.rows(
        found, as_json, title="Limits", empty="None yet. Set one: newsletter limits set google.com --per-minute 500"
    )


@group.command("set")
@click.argument("hosts")
@click.option("--connections", type=int)
@click.option("--per-second", type=int, metavar="MAILS")
@click.option("--per-minute", type=int, metavar="MAILS")
@click.option("--per-hour", type=int, metavar="MAILS")
@report.as_json
def set_(
    hosts: str,
    connections: int | None,
    per_second: int | None,
    per_minute: int | None,
    per_hour: int | None,
    as_json: bool,
) -> None:
    """Limit what goes to a group of mail hosts (google.com), in the place of what was said of it before.

    HOSTS may be a domain that readers have addresses at: the limit is then that of the hosts which take its mail.
    """
    with transaction() as session:
        limit = host_limits.set_host_limit(
            session,
            hosts,
            utc_now(),
            connections=connections,
            per_second=per_second,
            per_minute=per_minute,
            per_hour=per_hour,
        )
    report.facts(_row(limit), as_json)


@group.command()
@click.argument("hosts")
def remove(hosts: str) -> None:
    """Limit a group of mail hosts no more."""
    with transaction() as session:
        host_limits.remove_host_limit(session, hosts, utc_now())
    report.say("The limit is lifted.")


@group.command("slowdowns")
@report.as_json
def slowdowns_(as_json: bool) -> None:
    """Show who is sent less just now because they asked for it, and until when."""
    found = [
        {"key": one.key, "where": one.name, "what": one.what, "because": one.because, "since": one.changed_at}
        for one in slowdowns.slowdowns(db.session(), utc_now())
    ]
    report.rows(found, as_json, title="Slowed down", empty="Nobody is slowed down.")


@group.command()
@click.argument("key")
def clear(key: str) -> None:
    """Go on at full speed where KEY (see slowdowns) says, because you know that the cause is gone."""
    with transaction() as session:
        slowdowns.clear_slowdown(session, key, utc_now())
    report.say("It goes on at full speed.")


def _row(limit: HostLimit) -> dict[str, object]:
    return {
        "hosts": limit.host_group,
        "connections": limit.connections,
        "per_second": limit.per_second,
        "per_minute": limit.per_minute,
        "per_hour": limit.per_hour,
    }
