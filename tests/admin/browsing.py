"""A browser as an operator uses it: opens a page, fills in one of its forms, presses its button."""

import re
from html import unescape
from typing import Any

from flask import g
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

SITE = "https://news.example.org"


class Client(FlaskClient):
    """Flask's client, for tests that have an application context pushed: each request begins with an empty `g`."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Send a request as if no other had been before it."""
        for name in list(g):
            g.pop(name)
        return super().open(*args, **kwargs)


class Browser:
    """Wraps Flask's client; knows the CSRF token of the page it saw last."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self.token = ""

    def open(self, path: str, status: int = 200) -> str:
        """Return the page at `path`, and remember its token."""
        answer = self.client.get(path, base_url=SITE)
        assert answer.status_code == status, f"{path}: {answer.status_code}"
        page = answer.get_data(as_text=True)
        found = re.search(r'name="csrf_token" value="([^"]+)"', page)
        if found:
            self.token = unescape(found[1])
        return page

    def press(self, path: str, **fields: str | list[str]) -> TestResponse:
        """Send a form to `path` with the token of the last page."""
        return self.client.post(
            path, base_url=SITE, headers={"Referer": f"{SITE}/admin/"}, data={"csrf_token": self.token} | fields
        )

    def sign_in(self, login: str, password: str) -> TestResponse:
        """Go to the sign-in page and sign in; the token is that of the session that begins."""
        self.open("/admin/sign-in")
        answer = self.press("/admin/sign-in", login=login, password=password)
        if answer.status_code == 303:
            self.open("/admin/")
        return answer
