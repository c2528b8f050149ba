"""Links in mails: each opens its own page only, for ever, and nothing that was not made here opens any."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsletter.app import create_app
from newsletter.foundation.db import db
from newsletter.foundation.links import Link
from newsletter.foundation.services import services
from newsletter.foundation.tokens import DAY, Purpose
from tests.conftest import make_settings
from tests.web.site import Site, everything

PAGES = {"u": Link.ONE_CLICK, "leave": Link.LEAVE, "preferences": Link.PREFERENCES}
TIMED = {"confirm": Purpose.CONFIRM, "not-me": Purpose.NOT_ME}


def test_each_page_takes_only_tokens_made_for_it(site: Site, visitor: FlaskClient) -> None:
    confirmation_id = site.asked("new@reader.example.org")
    reader = site.reader()
    tools = services()
    tokens: dict[str, object] = {}
    for link in Link:
        tokens[tools.links.token(link, reader, site.cadence["daily"], 7)] = link
    for purpose in Purpose:
        tokens[tools.tokens.make(purpose, confirmation_id)] = purpose
    before = everything()
    for page, meant in (PAGES | TIMED).items():
        for token, made_for in tokens.items():
            if meant is made_for:
                assert visitor.get(f"/{page}/{token}").status_code == 200
            else:
                assert visitor.get(f"/{page}/{token}").status_code == 404
                assert visitor.post(f"/{page}/{token}", data={"act": "leave_all"}).status_code == 404
    assert everything() == before


def test_a_token_that_is_not_ours_gets_the_same_page_whatever_is_wrong(site: Site, visitor: FlaskClient) -> None:
    path = site.link(Link.LEAVE, site.reader())
    pages = {
        visitor.get(wrong).data
        for wrong in (path[:-1], path + "A", "/leave/x", "/leave/" + "A" * 30, "/leave/%00", "/leave/ü", "/leave/===")
    }
    assert len(pages) == 1


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_changed_byte_makes_a_token_nothing(
    site_with_paths: tuple[FlaskClient, list[str]], data: st.DataObject
) -> None:
    visitor, paths = site_with_paths
    path = data.draw(st.sampled_from(paths))
    start = path.rindex("/") + 1
    at = data.draw(st.integers(start, len(path) - 1))
    other = data.draw(
        st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~").filter(
            lambda sign: sign != path[at]
        )
    )
    assert visitor.get(path[:at] + other + path[at + 1 :]).status_code == 404


@pytest.fixture
def site_with_paths(site: Site, visitor: FlaskClient) -> tuple[FlaskClient, list[str]]:
    confirmation_id = site.asked("new@reader.example.org")
    reader = site.reader()
    paths = [site.link(link, reader) for link in PAGES.values()]
    return visitor, [*paths, site.confirm(confirmation_id), site.not_me(confirmation_id)]


@contextmanager
def running(data_dir: Path, rotations: int) -> Iterator[Flask]:
    """The application on the database in `data_dir` after that many rotations of its keys."""
    ring = tuple(f"k3y-number-{number}-of-the-tests-abcdefghijkl" for number in range(rotations + 1))
    app = create_app(make_settings(data_dir, secret_keys=ring, link_keys=ring))
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


def test_links_outlive_two_rotations_of_the_keys(tmp_path: Path, sqlite_template: Path) -> None:
    shutil.copy(sqlite_template, tmp_path / "newsletter.db")
    with running(tmp_path, 0) as app:
        site = Site(app)
        reader = site.reader()
        paths = [site.link(link, reader) for link in PAGES.values()]
        paths.append(site.confirm(site.asked("new@reader.example.org")))
    with running(tmp_path, 2) as app:
        visitor = app.test_client()
        assert {visitor.get(path).status_code for path in paths} == {200}
        newer = services().links.make(Link.LEAVE, reader, 1, 7).removeprefix("https://news.example.org")
        assert newer not in paths
        assert visitor.get(newer).status_code == 200


def test_a_link_in_an_old_mail_still_leaves(site: Site, visitor: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = site.reader()
    path = site.link(Link.ONE_CLICK, reader)
    now = time.time() + 400 * DAY
    monkeypatch.setattr(time, "time", lambda: now)  # what itsdangerous reads
    assert visitor.post(path, data=b"List-Unsubscribe=One-Click").status_code == 200
    assert site.choices(reader) == {}


def test_an_old_not_me_link_is_gone(site: Site, visitor: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    path = site.not_me(site.asked())
    now = time.time() + 61 * DAY
    monkeypatch.setattr(time, "time", lambda: now)  # what itsdangerous reads
    assert visitor.get(path).status_code == 410
