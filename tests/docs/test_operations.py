"""The tables of docs/operations.md, and the example of an .env, against the code that they describe."""

import re
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from newsletter.app import create_app
from newsletter.delivery.models import DeliveryState, Reason
from newsletter.foundation.settings import PREFIX, Settings, load
from tests.conftest import Databases, make_settings
from tests.docs.pages import DEPLOY, PAGES, ROOT, name, read

OPERATIONS = read(ROOT / "docs/operations.md")
FIELDS = {f"{PREFIX}{field.upper()}": info for field, info in Settings.model_fields.items()}


def _section(heading: str) -> str:
    found = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", OPERATIONS, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


DEFAULTS = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", _section("Settings"), re.MULTILINE))


def test_the_table_holds_every_setting_and_no_other() -> None:
    assert sorted(DEFAULTS) == sorted(FIELDS)


@pytest.mark.parametrize("setting", FIELDS)
def test_the_table_tells_the_default(setting: str) -> None:
    default = FIELDS[setting].default
    if default in ("", ()) or not str(default).strip("*"):
        assert not DEFAULTS[setting].startswith("`")  # words: where it comes from, or that it is needed
    else:
        assert DEFAULTS[setting] == f"`{str(default).lower() if isinstance(default, bool) else default}`"


def test_no_page_names_a_setting_that_is_none() -> None:
    for page in (*PAGES, *DEPLOY):
        assert set(re.findall(rf"\b{PREFIX}[A-Z_]+\b", read(page))) <= set(FIELDS), name(page)


def test_the_example_names_every_setting_and_holds_together() -> None:
    lines = re.findall(rf"^#?({PREFIX}\w+)=(.*)$", read(ROOT / "deploy/env.example"), re.MULTILINE)
    assert sorted(name for name, _ in lines) == sorted(FIELDS)
    values = {name.removeprefix(PREFIX).lower(): value for name, value in lines}
    empty = {name for name in ("secret_keys", "link_keys", "data_keys", "hash_key") if not values[name]}
    assert len(empty) == 4, "an example holds no key that somebody could keep"
    filled = load(_env_file=None, **values | {key: f"{key[:2]}-0123456789-ABCDEFGHIJKLMNOPQRSTUVW" for key in empty})
    assert filled.mode == "production"
    assert filled.database_url.startswith("postgresql+psycopg://")


def test_every_state_and_reason_is_explained() -> None:
    states = _section("Delivery states")
    assert re.findall(r"^\| `(\w+)` \|", states, re.MULTILINE) == [state.value for state in _in_order()]
    assert {reason.value for reason in Reason} <= set(re.findall(r"`(\w+)`", states))


def test_endpoints_that_are_named_exist(tmp_path: Path) -> None:
    rules = {rule.rule for rule in create_app(make_settings(tmp_path)).url_map.iter_rules()}
    assert set(re.findall(r"`(?:GET )?(/[\w/]+)`", OPERATIONS)) & rules >= {"/health/live", "/health/ready", "/admin/"}


@pytest.mark.postgres
def test_the_statement_for_restores_puts_ids_out_of_reach(tmp_path: Path, postgres_databases: Databases) -> None:
    block = re.search(
        r"^ +SELECT setval\(.*?;$", _section("Backups, and what a restore does"), re.MULTILINE | re.DOTALL
    )
    assert block
    with postgres_databases.fresh() as url:
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(text("SELECT nextval('subscribers_id_seq')"))
            connection.execute(text(block[0]))
            assert connection.scalar(text("SELECT nextval('subscribers_id_seq')")) == 1_000_002
            assert connection.scalar(text("SELECT nextval('changes_id_seq')")) == 1
        engine.dispose()


def _in_order() -> list[DeliveryState]:
    first = [DeliveryState.PLANNED, DeliveryState.SENDING, DeliveryState.ACCEPTED, DeliveryState.DEFERRED]
    return [*first, *(state for state in DeliveryState if state not in first)]
