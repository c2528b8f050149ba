"""A web server whose every answer is scripted, and that says how many it served at once."""

import http.server
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from newsletter.foundation.fetch import Fetcher


@dataclass
class Page:
    """One answer."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    before: Callable[[], None] | None = None
    """Called before answering: to wait for something, or to look around."""
    raw: bytes | None = None
    """Sent instead of an HTTP answer."""


class Press:
    """Serve each path its pages in order, the last one for ever. Close it."""

    def __init__(self) -> None:
        self.pages: dict[str, list[Page]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()
        press = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                press.serve(self)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path: str = "/feed") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def print(self, path: str, *pages: Page | bytes) -> str:
        """Let `path` answer with these; return its address."""
        self.pages[path] = [page if isinstance(page, Page) else Page(page) for page in pages]
        return self.url(path)

    def serve(self, request: http.server.BaseHTTPRequestHandler) -> None:
        with self._lock:
            self.asked.append((request.path, {name.lower(): value for name, value in request.headers.items()}))
            pages = self.pages.get(request.path, [Page(status=404)])
            page = pages.pop(0) if len(pages) > 1 else pages[0]
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if page.before:
                page.before()
            if page.raw is not None:
                request.wfile.write(page.raw)
                return
            request.send_response(page.status)
            for name, value in {"Content-Length": str(len(page.body)), **page.headers}.items():
                request.send_header(name, value)
            request.end_headers()
            request.wfile.write(page.body)
        except OSError:
            pass  # whoever asked has gone
        finally:
            with self._lock:
                self.at_once -= 1

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def fetcher(**limits: Any) -> Fetcher:
    """The real fetcher, allowed to reach this machine."""
    return Fetcher(allow_hosts=frozenset({"127.0.0.1"}), **limits)


def rss(*keys: str, category: str = "World") -> bytes:
    """A feed of short articles."""
    items = "".join(
        f"<item><title>Title of {key}</title><link>https://site.example/{key}</link><guid>{key}</guid>"
        f"<category>{category}</category></item>"
        for key in keys
    )
    return f"<rss version='2.0'><channel><title>News</title>{items}</channel></rss>".encode()
