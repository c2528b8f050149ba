"""Fetching sources: several at once, each in a thread that touches no database; this one records what they bring."""

import logging
import threading
from queue import Empty, SimpleQueue
from typing import Final

from newsletter.content import fetching
from newsletter.content.fetching import Answer, Claim, Outcome
from newsletter.content.parser import shared_parser
from newsletter.foundation.clock import monotonic, utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.queue import queue
from newsletter.foundation.services import Services, services
from newsletter.tasks import ringing

log = logging.getLogger(__name__)

AT_ONCE: Final = 8
SECONDS: Final = 60.0
"""After this nothing more is claimed, so that a task ends in good time."""
_NOT_STORED: Final = "The program failed to store this source's articles; its log says more."
_Answers = SimpleQueue[tuple[Claim, Answer]]
_LOOK_AGAIN: Final = 0.5
"""Seconds between two looks for what became due while others are being asked."""


@queue.task(name=ringing.FETCH)
def fetch_due() -> None:
    """Fetch the sources whose time has come. A slow one keeps nobody waiting but the others on its host."""
    if not fetching.anything_due(db.session(), utc_now()):
        return
    tools, answers = services(), _Answers()
    asking, deadline, looked_twice = 0, monotonic() + SECONDS, False
    while True:
        claims = _claim(AT_ONCE - asking) if asking < AT_ONCE and monotonic() < deadline else []
        for claimed in claims:
            # A daemon: whoever stops the program does not wait for a server that takes its time.
            threading.Thread(target=_ask_aside, args=(tools, claimed, answers), daemon=True).start()
        asking += len(claims)
        if not asking and looked_twice:
            return
        looked_twice = not asking  # a host that was just asked rests for a moment
        try:
            claimed, answer = answers.get(timeout=_LOOK_AGAIN if asking else fetching.GAP.total_seconds())
        except Empty:
            continue
        asking -= 1
        _record(claimed, answer)


def fetch_now(source_id: int) -> Outcome:
    """Fetch this source now, due or not, and record what it brings. Raises NotFoundError."""
    with transaction() as session:
        claimed = fetching.claim_one(session, source_id, utc_now())
    return _record(claimed, _ask(services(), claimed))


def _claim(most: int) -> list[Claim]:
    with transaction() as session:
        return fetching.claim(session, utc_now(), most)


def _ask(tools: Services, claimed: Claim) -> Answer:
    return fetching.ask(claimed, tools.fetcher, shared_parser(), tools.vault)


def _ask_aside(tools: Services, claimed: Claim, answers: _Answers) -> None:
    answers.put((claimed, _ask(tools, claimed)))


def _record(claimed: Claim, answer: Answer) -> Outcome:
    try:
        with transaction() as session:
            outcome = fetching.record(session, claimed, answer, utc_now())
    except Exception:
        # One source's articles that cannot be stored must not end the round, nor come back each second.
        log.exception("a source could not be stored", extra={"source": claimed.source_id})
        with transaction() as session:
            outcome = fetching.record(session, claimed, Answer(problem=_NOT_STORED), utc_now())
    if outcome.stored.new or outcome.problem:
        extra = {"source": claimed.source_id, "new": outcome.stored.new, "problem": outcome.problem}
        log.info("fetched", extra=extra)
    return outcome
