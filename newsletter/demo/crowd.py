"""What readers do: fill in the form, press the button that a mail brought them, leave. A handful of them at a time."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

from newsletter.demo.browser import Browser
from newsletter.demo.errors import StoryError
from newsletter.demo.pages import Form
from newsletter.demo.postbox import Mail
from newsletter.demo.readers import Answer, Reader
from newsletter.foundation.clock import monotonic

HANDS: Final = 6
"""Readers who do something at the same time."""
FILLING_IN: Final = 2.1
"""Seconds between seeing a form and sending it: the service takes anything faster for a program's work."""
ONE_CLICK: Final = (("List-Unsubscribe", "One-Click"),)
"""What a mail program posts (RFC 8058 section 3.2)."""
_BUTTONS: Final = {Answer.CONFIRMS: ("/confirm/", "confirm"), Answer.REFUSES: ("/not-me/", "stop")}

Each = TypeVar("Each")
Done = TypeVar("Done")


@dataclass(frozen=True)
class _Seen:
    """A form before a reader's eyes, since a moment on the monotonic clock."""

    reader: Reader
    browser: Browser
    form: Form
    since: float


def sign_up(readers: Sequence[Reader], signup_url: str, site_url: str) -> None:
    """Let all of them fill in the form on our page, or the one on the news site. Raises StoryError for who fails."""

    def see(reader: Reader) -> _Seen:
        browser = Browser(reader.language)
        page = browser.open(site_url if reader.embedded else signup_url)
        return _Seen(reader, browser, page.form("/subscribe"), monotonic())

    _together(_fill_in, _together(see, readers))


def _fill_in(seen: _Seen) -> None:
    reader, form = seen.reader, seen.form
    wanted = {
        "address": reader.address,
        "categories": reader.categories,
        "cadence": reader.cadence,
        "consent": form.offered("consent"),
        "affiliates": form.offered("affiliates")[: reader.partners],
    }
    if not reader.embedded:  # which is as short as it can be
        wanted |= {"name": reader.name, "language": reader.language, "timezone": reader.timezone}
    time.sleep(max(seen.since + FILLING_IN - monotonic(), 0))
    page = seen.browser.send(form, wanted)
    if "/received" not in page.url:
        raise StoryError(f"The sign-up of {reader.address} was not received: {page.reading.words[:300]}")


def answer(readers: Iterable[Reader], mails: Mapping[str, Mail]) -> None:
    """Let each reader do with their confirmation mail what they do. Raises StoryError for who cannot."""

    def act(reader: Reader) -> None:
        if reader.answer in _BUTTONS:
            path, button = _BUTTONS[reader.answer]
            _press(Browser(reader.language), mails[reader.address], path, button)

    _together(act, [reader for reader in readers if reader.address in mails])


def leave_by_click(mail: Mail) -> None:
    """Unsubscribe as a mail program does: one POST, without cookie or page (RFC 8058 section 3.1)."""
    Browser().post(mail.one_click, ONE_CLICK)


def look_at_header(mail: Mail) -> None:
    """Open the header's link as a scanner does; that must change nothing (standards L5)."""
    Browser().open(mail.one_click)


def leave_by_page(mail: Mail, language: str) -> None:
    """Unsubscribe as a person does: by the visible link and the button behind it."""
    _press(Browser(language), mail, "/leave/", "leave")


def _press(browser: Browser, mail: Mail, path: str, button: str) -> None:
    page = browser.open(mail.link(path))
    browser.send(page.form(path), {"act": button})


def _together(act: Callable[[Each], Done], people: Sequence[Each]) -> list[Done]:
    """Do `act` for all of `people`, a handful at a time; the first failure ends it, as Ctrl-C does."""
    pool = ThreadPoolExecutor(HANDS)
    try:
        return list(pool.map(act, people))
    finally:
        pool.shutdown(cancel_futures=True)
