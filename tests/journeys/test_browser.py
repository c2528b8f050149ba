"""From the sign-up form to the preferences in a real browser: without script, on phone and desk, by day and night."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select
from werkzeug.serving import make_server

from newsletter.app import create_app
from newsletter.audience import signup
from newsletter.audience.models import Confirmation
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.links import Link
from newsletter.foundation.services import services
from tests.conftest import make_settings
from tests.web.site import Site

pytestmark = pytest.mark.browser
LOOKS = [(width, scheme) for width in (360, 1280) for scheme in ("light", "dark")]


@dataclass(frozen=True)
class Served:
    """The site, and where a browser finds it."""

    site: Site
    origin: str


@pytest.fixture
def served(sqlite_template: Path, tmp_path: Path) -> Iterator[Served]:
    """A site that is served over HTTP."""
    (tmp_path / "newsletter.db").write_bytes(sqlite_template.read_bytes())
    doors: list[Flask] = []
    server = make_server("127.0.0.1", 0, lambda environ, start: doors[0](environ, start), threaded=True)
    origin = f"http://127.0.0.1:{server.server_port}"
    app = create_app(make_settings(tmp_path, public_url=origin))
    doors.append(app)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with app.app_context():
        yield Served(Site(app), origin)
        server.shutdown()
        thread.join()
        server.server_close()
        db.session.remove()
        db.engine.dispose()


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_signing_up_confirming_choosing_and_leaving_without_script(
    served: Served, browser: Browser, width: int, scheme: str
) -> None:
    looks = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    reading = browser.new_context(**looks, java_script_enabled=False)  # type: ignore[arg-type]  # Playwright's own names
    # Axe is itself a script, which our pages let nobody run: it looks at them in a second window that allows it.
    judging = browser.new_context(**looks, bypass_csp=True)  # type: ignore[arg-type]
    page, judge = reading.new_page(), judging.new_page()

    page.goto(f"{served.origin}/")
    is_sound(page, judge)
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("alert")).to_contain_text("There are 4 problems")
    page.get_by_label("Your e-mail address").fill("ada@reader.example.org")
    page.get_by_label("Business").check()
    page.get_by_label("World").check()
    page.get_by_label("Daily").check()
    page.get_by_label("I want The Gazette to send me").check()
    page.wait_for_timeout(2100)  # as long as a person takes at least
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Please look in your inbox")
    is_sound(page, judge)

    page.goto(served.origin + mailed(served.site))
    expect(page.get_by_role("button", name="Yes, send me these mails")).to_be_visible()
    is_sound(page, judge)
    page.get_by_role("button", name="Yes, send me these mails").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are in. Thank you!")

    page.get_by_role("link", name="Change what you get").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your mails")
    page.get_by_role("radiogroup", name="World").get_by_label("Weekly").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Your choices are saved.")
    is_sound(page, judge)

    reader = db.session().scalars(select(Confirmation.subscriber_id)).one()
    assert served.site.choices(reader) == {"business": "daily", "world": "weekly"}
    page.goto(served.origin + served.site.link(Link.LEAVE, reader))
    is_sound(page, judge)
    page.get_by_role("button", name="Leave all mails").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You have left all our mails")
    assert served.site.choices(reader) == {}
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("All is as it was")
    assert served.site.choices(reader) == {"business": "daily", "world": "weekly"}
    assert reading.cookies() == []
    for context in (reading, judging):
        context.close()


def test_a_program_that_opens_the_mailed_links_and_runs_scripts_confirms_nobody(
    served: Served, browser: Browser
) -> None:
    confirmation_id = served.site.asked()
    with browser.new_context() as scanner:
        page = scanner.new_page()
        for path in (served.site.confirm(confirmation_id), served.site.not_me(confirmation_id)):
            page.goto(served.origin + path)
            page.wait_for_load_state("networkidle")
    db.session().commit()
    waiting = db.session().get_one(Confirmation, confirmation_id, populate_existing=True)
    assert (waiting.confirmed_at, waiting.refused_at) == (None, None)


def is_sound(page: Page, judge: Page) -> None:
    """Let axe look at the page that is open, and at whether it fits its window."""
    judge.goto(page.url)
    found = Axe().run(judge).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")] == []
    assert judge.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def mailed(site: Site) -> str:
    """Let a worker decide, and return the path that its mail leads to."""
    with transaction() as session:
        signup.process_waiting(session, services().hasher, utc_now())
    return site.confirm(db.session().scalars(select(Confirmation.id)).one())
