"""The programs of the demo, started and kept as one process tree."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Final

from newsletter.demo.errors import StoryError
from newsletter.demo.ground import Ground, Ports
from newsletter.demo.terminal import Terminal
from newsletter.foundation.clock import monotonic
from newsletter.foundation.ports import page_answers, port_answers
from newsletter.foundation.supervisor import Program, Supervisor

LONGEST: Final = 30.0
"""Seconds that anything in the story may take."""
_LOOK_AGAIN: Final = 0.1


class House:
    """Everything that runs, on `ports`, with the settings in `environment`."""

    def __init__(self, ground: Ground, ports: Ports, environment: Mapping[str, str], supervisor: Supervisor) -> None:
        self.ports = ports
        self.ground = ground
        self._environment = environment
        self._supervisor = supervisor

    def open_terminal(self) -> Terminal:
        """Give an operator a terminal, in whose commands the service's settings hold."""
        return Terminal(self._environment, self.ground.logs / "terminal.log")

    def open_doors(self) -> None:
        """Start the web server and the mail catcher; return when both answer."""
        ports = self.ports
        catcher = ("newsletter.catcher", "--smtp-port", ports.smtp, "--http-port", ports.inbox)
        self._supervisor.start(
            self._program(
                "web", "newsletter", "serve", "--port", ports.web, ready=lambda: page_answers(ports.web, "/health/live")
            ),
            self._program("catcher", *catcher, "--folder", self.ground.caught, ready=self._catcher_answers),
        )

    def open_workshop(self) -> None:
        """Start the worker, which keeps the schedule too."""
        self._supervisor.start(self._program("worker", "newsletter", "worker"))

    def open_site(self, signup_url: str) -> None:
        """Start the sample site with the newsletter's form on its pages."""
        site, form = self.ports.site, self.ground.signup_form
        arguments = ("--port", site, "--signup-form", form, "--signup-form-url", signup_url)
        self._supervisor.start(
            self._program("site", "newsletter.sample", *arguments, ready=lambda: page_answers(site, "/"))
        )

    @property
    def running(self) -> int:
        """How many programs are at work."""
        return len(self._supervisor.pids())

    def wait_until(self, happened: Callable[[], bool], what: str) -> None:
        """Return when `happened`. Raises StoryError saying `what` did not, or ProgramError when a program has died."""
        deadline = monotonic() + LONGEST
        while not happened():
            self._supervisor.check()
            if monotonic() > deadline:
                raise StoryError(f"{what} did not happen within {LONGEST:g} s. The logs are in {self.ground.logs}.")
            time.sleep(_LOOK_AGAIN)

    def _catcher_answers(self) -> bool:
        return port_answers(self.ports.smtp) and page_answers(self.ports.inbox, "/")

    def _program(self, name: str, *argv: object, ready: Callable[[], bool] | None = None) -> Program:
        return Program(name, self._argv(*argv), self._environment, ready)

    @staticmethod
    def _argv(*argv: object) -> list[str]:
        return [sys.executable, "-m", *map(str, argv)]
