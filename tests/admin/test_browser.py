"""Operators' pages in a real browser: sound to axe, no wider than their window, and a run that moves by itself."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, Page, expect
from werkzeug.serving import make_server

from newsletter.app import create_app
from newsletter.audience import cadences
from newsletter.cli.seed import add_articles, add_readers
from newsletter.content import categories
from newsletter.delivery.models import Mailing
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.services import services
from newsletter.operators import accounts
from newsletter.publication import dkim, identity
from tests.admin.conftest import IDENTITY, PASSWORD
from tests.conftest import make_settings

pytestmark = pytest.mark.browser
PAGES = (
    "", "sources", "categories", "categories/1", "digests", "digests/1", "digests/1/settings", "digests/1/preview",
    "digests/1/preview?view=text", "runs", "unknown", "relays", "relays/0", "publication", "dkim",
    "dkim/1", "account", "style",
)  # fmt: skip


@pytest.fixture
def origin(sqlite_template: Path, tmp_path: Path) -> Iterator[str]:
    """A service with readers and articles, served over HTTP."""
    (tmp_path / "newsletter.db").write_bytes(sqlite_template.read_bytes())
    doors: list[Flask] = []
    server = make_server("127.0.0.1", 0, lambda environ, start: doors[0](environ, start), threaded=True)
    origin = f"http://127.0.0.1:{server.server_port}"
    doors.append(create_app(make_settings(tmp_path, public_url=origin)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with doors[0].app_context():
        with transaction() as session:
            identity.create(session, IDENTITY, utc_now())
            cadences.ensure_defaults(session)
            for name in ("Business", "World"):
                categories.add(session, name)
            add_readers(session, services().hasher, 40, 2, utc_now())
            add_articles(session, 6, 2, utc_now())
            accounts.add(session, "ada", PASSWORD, utc_now())
            dkim.generate(session, services().vault, "gazette.example", utc_now())
        yield origin
        server.shutdown()
        thread.join()
        server.server_close()
        db.session.remove()
        db.engine.dispose()


def signed_in(page: Page, origin: str) -> None:
    """Sign in as a person does, and be led to the page that was asked for."""
    page.goto(f"{origin}/admin/digests/1")
    page.get_by_label("Login").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{origin}/admin/digests/1")


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1280, "dark")])
def test_every_page_is_sound_and_fits(origin: str, browser: Browser, width: int, scheme: str) -> None:
    # Axe is itself a script, which our pages let nobody run.
    looks = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme, "bypass_csp": True}
    context = browser.new_context(**looks)  # type: ignore[arg-type]  # Playwright's own names
    page = context.new_page()
    signed_in(page, origin)
    for path in PAGES:
        page.goto(f"{origin}/admin/{path}")
        found = Axe().run(page).response["violations"]
        serious = [
            (path, one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")
        ]
        assert serious == []
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
    context.close()


def test_a_digest_is_sent_after_its_consequences_were_shown_and_its_figures_move(origin: str, browser: Browser) -> None:
    page = browser.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    signed_in(page, origin)
    expect(page.get_by_role("button", name="Send to")).to_be_hidden()
    page.get_by_role("button", name="Send now").click()
    expect(page.get_by_role("dialog")).to_contain_text("cannot be called back")
    page.get_by_role("button", name="Send to").click()
    expect(page.get_by_role("status")).to_contain_text("on its way")
    with transaction() as session:
        mailing = session.query(Mailing).one()
        total = mailing.planned
        mailing.planned, mailing.accepted, mailing.started_at = total - 7, 7, utc_now()
    expect(page.locator("[data-count=accepted]")).to_have_text("7", timeout=10_000)
    expect(page.locator("[data-line]")).to_contain_text(f"7 of {total}")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    assert complaints == []
    page.close()


def test_without_script_the_page_of_a_run_reloads_itself(origin: str, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    signed_in(page, origin)
    # The dialog is opened by the browser itself, so sending needs no script either.
    page.get_by_role("button", name="Send now").click()
    page.get_by_role("button", name="Send to").click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    assert page.locator("noscript meta[http-equiv=refresh]").count() == 1
    context.close()
