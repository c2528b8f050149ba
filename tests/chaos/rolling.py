"""X12: a new version is rolled out while a digest goes out and readers use the pages."""

import signal
import threading
import time
from collections import Counter
from functools import partial
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen  # noqa: TID251  (a reader's browser, not the program)

from sqlalchemy import text

from newsletter.foundation.db import transaction
from newsletter.foundation.links import Link
from newsletter.foundation.ports import free_port
from newsletter.foundation.services import services
from tests.chaos.ground import Ground
from tests.chaos.result import Result, Size, experiment
from tests.chaos.stage import Stage, eventually, staged

STOP_WITHIN = 10.0


def x12(ground: Ground, size: Size, seed: int) -> Result:
    """Stop workers politely and start new ones, with a column that comes and goes; all the while pages are read."""
    readers, restarts, requests = (3_000, 3, 300) if size is Size.CI else (20_000, 10, 5_000)
    delay = "0.02" if size is Size.CI else "0.01"
    with (
        experiment("X12", size, seed) as result,
        staged(ground, "postgresql", readers, sink=("--delay", delay), patches=("--bells", "1")) as stage,
    ):
        port = free_port()
        stage.place.start("serve", "--port", str(port), "--workers", "1")
        visitors = Visitors(stage, port)
        eventually(lambda: visitors.answer("/health/live") == 200)
        stage.plan()
        worker, slowest = stage.worker(), 0.0
        visitors.start()
        for number in range(1, restarts + 1):
            stage.reached(number * readers // (restarts + 2))
            if number in (1, restarts):
                change = "ADD COLUMN of_the_next_version text" if number == 1 else "DROP COLUMN of_the_next_version"
                stage.ask(partial(_migrate, change))
            worker.send_signal(signal.SIGTERM)
            asked = time.monotonic()
            worker.wait(60)
            slowest = max(slowest, time.monotonic() - asked)
            worker = stage.worker()
        stage.over()
        eventually(lambda: visitors.answers.total() >= requests, 600)
        visitors.stop()
        stage.judge(result, unknown=0)
        result.within("slowest_stop", slowest, STOP_WITHIN)
        result.exactly("server_errors", sum(n for code, n in visitors.answers.items() if code >= 500 or not code), 0)
        result.at_least("requests", visitors.answers.total(), requests)
    return result


def _migrate(change: str) -> None:
    with transaction() as session:
        session.execute(text("SET LOCAL lock_timeout = '10s'"))
        session.execute(text(f"ALTER TABLE deliveries {change}"))


class Visitors(threading.Thread):
    """Readers who open pages and leave lists, one after the other, until stopped."""

    def __init__(self, stage: Stage, port: int) -> None:
        super().__init__(daemon=True)
        self._origin = f"http://127.0.0.1:{port}"
        self._over = threading.Event()
        self.answers: Counter[int] = Counter()
        """Status to how often; 0 where there was no answer."""
        stranger = stage.readers + 1  # a reader of another cadence
        with stage.app.app_context():
            token = services().links.token(Link.ONE_CLICK, stranger, 2, 0)
        self._pages = ("/subscribe", "/health/ready", f"/u/{token}", f"POST /u/{token}")

    def run(self) -> None:
        number = 0
        while not self._over.is_set():
            self.answers[self.answer(self._pages[number % len(self._pages)])] += 1
            number += 1
            self._over.wait(0.01)

    def stop(self) -> None:
        self._over.set()
        self.join(30)

    def answer(self, page: str) -> int:
        """Return the status of a page's answer."""
        method, _, path = page.rpartition(" ")
        request = Request(self._origin + path, method=method or "GET", data=b"" if method else None)
        try:
            with urlopen(request, timeout=20) as answer:
                return int(answer.status)
        except HTTPError as error:
            return error.code
        except (URLError, OSError):
            return 0
