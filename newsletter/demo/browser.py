"""A browser without a screen, for pages of this machine. It follows redirects and keeps cookies, as a person's does."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPConnection, HTTPException  # noqa: TID251  (a visitor on loopback, no part of the service)
from http.cookies import SimpleCookie
from typing import Any, Final
from urllib.parse import urlencode, urljoin, urlsplit

from newsletter.demo.errors import StoryError
from newsletter.demo.pages import Form, Reading

PATIENCE: Final = 20.0
"""Seconds that an answer may take."""
_REDIRECTS: Final = 5
_FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Page:
    """An answer."""

    url: str
    status: int
    text: str

    @cached_property
    def reading(self) -> Reading:
        """What is on the page."""
        return Reading.of(self.text, self.url)

    @property
    def data(self) -> Any:
        """The JSON document that the answer is."""
        return json.loads(self.text)

    def form(self, action: str) -> Form:
        """Return the first form whose address contains `action`. Raises StoryError when there is none."""
        for form in self.reading.forms:
            if action in form.action:
                return form
        raise StoryError(f"The page {self.url} has no form for {action}.")


class Browser:
    """One person's browser."""

    def __init__(self, language: str = "en") -> None:
        self._language = language
        self._cookies: dict[tuple[str, str], str] = {}

    def open(self, url: str) -> Page:
        """Return the page at `url`. Raises StoryError when it is none that can be shown (status 400 and up)."""
        return _shown(self._ask("GET", url))

    def send(self, form: Form, wanted: Mapping[str, str | Collection[str]]) -> Page:
        """Fill in and send `form`; return the page that follows. Raises StoryError as `open` does."""
        return self.post(form.action, form.fill(wanted), page=form.page)

    def post(self, url: str, fields: Sequence[tuple[str, str]], page: str | None = None) -> Page:
        """Post `fields` to `url` from a form on `page`; without one as a mail program does, that knows no page."""
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(page)) if page else ""
        headers = {"Content-Type": _FORM} | ({"Origin": origin, "Referer": f"{origin}/"} if origin else {})
        return _shown(self._ask("POST", url, urlencode(fields).encode(), headers))

    def _ask(self, method: str, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Page:
        for _ in range(_REDIRECTS):
            status, location, text = self._exchange(method, url, body, headers or {})
            if not location or status not in (301, 302, 303):
                return Page(url, status, text)
            method, url, body, headers = "GET", urljoin(url, location), b"", {}
        raise StoryError(f"{url} leads in circles.")

    def _exchange(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, str, str]:
        parts = urlsplit(url)
        connection = HTTPConnection(parts.hostname or "", parts.port or 80, timeout=PATIENCE)
        cookies = "; ".join(f"{name}={value}" for (host, name), value in self._cookies.items() if host == parts.netloc)
        own = {"Accept-Language": self._language, "Connection": "close"} | ({"Cookie": cookies} if cookies else {})
        try:
            target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
            connection.request(method, target, body if method == "POST" else None, {**own, **headers})
            answer = connection.getresponse()
            text = answer.read().decode(answer.headers.get_content_charset("utf-8"), "replace")
        except (OSError, HTTPException) as error:
            raise StoryError(f"{parts.netloc} did not answer: {error}.") from error
        finally:
            connection.close()
        for line in answer.headers.get_all("Set-Cookie", []):
            for name, morsel in SimpleCookie(line).items():
                self._cookies[parts.netloc, name] = morsel.value
        return answer.status, answer.headers.get("Location", ""), text


def _shown(page: Page) -> Page:
    if page.status >= 400:
        raise StoryError(f"{page.url} answered {page.status}: {page.reading.words[:300]}")
    return page
