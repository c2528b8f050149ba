"""`newsletter operators`: who may sign in."""

import secrets
import sys
from typing import Final

import click
from flask.cli import AppGroup

from newsletter.cli import report
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.operators import accounts, passwords

group: Final = AppGroup("operators", help="Who may sign in to the operators' pages.")


def _password(generate: bool, from_stdin: bool) -> str:
    if generate:
        return secrets.token_urlsafe(18)
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    prompt = f"Password (at least {passwords.SHORTEST} characters)"
    return str(click.prompt(prompt, hide_input=True, confirmation_prompt="Once more", err=True))


_generate = click.option("--generate", is_flag=True, help="Make a random password and print it, once.")
_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")


@group.command()
@click.argument("login")
@_generate
@_stdin
@report.as_json
def add(login: str, generate: bool, password_stdin: bool, as_json: bool) -> None:
    """Make an operator. The password is asked for, never taken from the command line, where others could read it."""
    password = _password(generate, password_stdin)
    with transaction() as session:
        operator = accounts.add(session, login, password, utc_now())
    shown = {"login": operator.login} | ({"password": password} if generate else {})
    report.facts(shown, as_json)


@group.command("list")
@report.as_json
def list_(as_json: bool) -> None:
    """Show all operators."""
    found = [
        {"login": operator.login, "since": operator.created_at, "disabled": operator.disabled_at}
        for operator in accounts.everyone(db.session())
    ]
    report.rows(found, as_json, title="Operators", empty="No operators yet. Add one: newsletter operators add LOGIN")


@group.command()
@click.argument("login")
@_generate
@_stdin
@report.as_json
def password(login: str, generate: bool, password_stdin: bool, as_json: bool) -> None:
    """Set an operator's password, and sign them out everywhere."""
    operator = accounts.named(db.session(), login)
    chosen = _password(generate, password_stdin)
    with transaction() as session:
        accounts.change_password(session, operator, chosen)
    report.facts({"login": operator.login} | ({"password": chosen} if generate else {}), as_json)


@group.command()
@click.argument("login")
def disable(login: str) -> None:
    """Close an account and sign it out everywhere; what the operator did stays on record."""
    with transaction() as session:
        accounts.disable(session, accounts.named(session, login), utc_now())
    report.say(f"{login} can no longer sign in.")


@group.command()
@click.argument("login")
def enable(login: str) -> None:
    """Open a closed account again, with the password it had."""
    with transaction() as session:
        accounts.enable(accounts.named(session, login))
    report.say(f"{login} can sign in again.")
