"""`newsletter init`: from nothing to a service that can start. Doing it again changes nothing that is there."""

import logging
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click
from flask.cli import ScriptInfo
from sqlalchemy.orm import Session

from newsletter.audience import cadences
from newsletter.cli import report
from newsletter.content import categories, sources
from newsletter.foundation import migrating
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.errors import NotFoundError, SettingsError
from newsletter.foundation.settings import PREFIX, load
from newsletter.operators import accounts
from newsletter.publication import identity

ENV: Final = Path(".env")
_KEYS: Final = ("SECRET_KEYS", "LINK_KEYS", "DATA_KEYS", "HASH_KEY")


@click.command()
@click.option("--public-url", help="Where readers reach this service, e.g. https://news.example.org")
@click.option("--smtp-url", help="The relay that takes our mail, e.g. smtp://user:password@mail.example.org:587")
@click.option("--name", help="The publication's name, as readers know it.")
@click.option("--site-url", help="The address of the news site itself.")
@click.option("--postal-address", help="Legal name and postal address: every mail carries it.")
@click.option("--contact-address", help="Where readers' answers go.")
@click.option("--privacy-url", help="The page that says what is kept, why and how long.")
@click.option("--digest-from", help="Sender of digests.")
@click.option("--confirmation-from", help="Sender of confirmation mails; another one.")
@click.option("--language", help="Language of pages and mails where a reader's is not spoken.  [default: en]")
@click.option("--timezone", help="Time zone of readers who choose none, e.g. Europe/Berlin.  [default: UTC]")
@click.option("--category", "names", multiple=True, help="A category to begin with; may be given several times.")
@click.pass_context
def init(
    ctx: click.Context, /, public_url: str | None, smtp_url: str | None, names: tuple[str, ...], **fields: str | None
) -> None:
    """Make .env with fresh keys, the database, the publication and the usual cadences.

    What is not given is asked for on a terminal. Everything but the keys can be changed later.
    """
    _make_env(public_url, smtp_url)
    app = ctx.ensure_object(ScriptInfo).load_app()
    with app.app_context():
        logging.getLogger("alembic").setLevel(logging.WARNING)  # its steps are news to programs, not to people
        migrating.upgrade()
        with transaction() as session:
            _make_publication(session, fields)
            cadences.ensure_defaults(session)
            for name in names:
                categories.ensure(session, name)
        report.say(*_next_steps(db.session()))


def _make_env(public_url: str | None, smtp_url: str | None) -> None:
    """Write .env where the settings need one and there is none; only its owner can read it."""
    try:
        load()
    except SettingsError:
        if ENV.exists():
            raise
    else:
        return
    values = {
        "PUBLIC_URL": _asked(public_url, "Public URL of this service (https://…)", "--public-url"),
        "SMTP_URL": _asked(smtp_url, "SMTP relay (smtp://user:password@host:port)", "--smtp-url"),
        **{name: secrets.token_urlsafe(32) for name in _KEYS},
    }
    load(**{name.lower(): value for name, value in values.items()})  # say what is wrong before anything is written
    lines = [f"{PREFIX}{name}={_quoted(value)}\n" for name, value in values.items()]
    with os.fdopen(os.open(ENV, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("# Whoever has these keys can sign in and sign links. Keep a copy in a safe place.\n")
        file.writelines(lines)
    report.say(f"Wrote {ENV.absolute()} with fresh keys. Keep a copy: links in sent mails need them for ever.")


def _make_publication(session: Session, fields: Mapping[str, str | None]) -> None:
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        identity.load(session)
    except NotFoundError:
        pass
    else:
        if given:
            identity.update(session, utc_now(), **given)
        return
    given["name"] = _asked(given.get("name"), "Name of the publication", "--name")
    given["site_url"] = _asked(given.get("site_url"), "Address of the news site (https://…)", "--site-url")
    identity.create(session, identity.Identity(**given), utc_now())


def _asked(value: str | None, question: str, option: str) -> str:
    if value is not None:
        return value
    if not sys.stdin.isatty():
        raise click.UsageError(f"{option} is needed: {question}.")
    return str(click.prompt(question, err=True)).strip()


def _quoted(value: str) -> str:
    """Return `value` as .env files hold it literally: in single quotes."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _next_steps(session: Session) -> list[str]:
    """Say what is missing, in the order in which it is needed."""
    steps = []
    if not categories.listed(session):
        steps.append("Add categories:            newsletter categories add Business")
    if not sources.listed(session, utc_now()):
        steps.append("Add feeds:                 newsletter sources add https://example.org/feed")
    if not accounts.everyone(session):
        steps.append("Add an operator:           newsletter operators add LOGIN")
    problems = identity.problems(identity.load(session))
    if problems:
        steps.append("Complete the publication:  newsletter publication set FIELD=VALUE …")
        steps += [f"                           ! {problem}" for problem in problems]
    steps.append("Start:                     newsletter serve    and, beside it,    newsletter worker")
    return ["All is in place. Next:", *(f"  {step}" for step in steps)]
