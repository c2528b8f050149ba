"""How exactly a limit is kept: four processes that want far more than they may, counted over the worst whole minute."""

import contextlib
import json
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

from bench.figures import Figure, Goal
from bench.measuring import Effort
from bench.places import application, installation
from newsletter.app import create_app
from newsletter.delivery.models import Relay, Tls
from newsletter.delivery.throttling import Throttle
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import transaction
from tests.journeys.processes import Installation
from tests.servers import redis

_PROCESSES: Final = 4
_PER_SECOND: Final = 500
_WANTED: Final = 200
"""Messages that a process asks for at a time, as the engine does for a group."""
_MARGIN: Final = 5.0
"""Seconds that the processes go on after the minute, so that there are several minutes to look at."""


def measure(effort: Effort) -> Iterator[Figure]:
    """Measure the limit of a relay, shared through Redis, and through the database as while Redis is away."""
    minute = 60.0 if effort.rounds > 1 else 5.0
    with installation("postgresql") as place, redis.running() as server:
        relay_id = _add_relay(place)
        for name, url in (("redis", server.url), ("database", "")):
            most, least = _windows(_taken(place, relay_id, url, minute + 2 * _MARGIN), minute)
            allowed = _PER_SECOND * minute
            slack = 0.02 if minute == 60 else 1 / minute  # half a second of tolerance weighs more in a short turn
            beside = f"the limit, {_PER_SECOND}/s"
            goals = (Goal("≤", 1 + slack, of_peer=True), Goal("≥", 1 - slack, of_peer=True))
            yield Figure(f"throttle-{name}:most", most, f"mails in {minute:g} s", beside, allowed, goals[0])
            yield Figure(f"throttle-{name}:least", least, f"mails in {minute:g} s", beside, allowed, goals[1])


def _add_relay(place: Installation) -> int:
    with application(place), transaction() as session:
        now = utc_now()
        relay = Relay(
            name="bench",
            host="127.0.0.1",
            port=1,
            tls=Tls.OPPORTUNISTIC,
            per_second=_PER_SECOND,
            senders=[],
            streams=[],
            created_at=now,
            updated_at=now,
        )
        session.add(relay)
        session.flush()
        return relay.id


def _taken(place: Installation, relay_id: int, redis_url: str, seconds: float) -> list[tuple[float, int]]:
    """Let the processes take what they can for `seconds`; return all grants as (when, how many), in order."""
    environment = place.environment | {"NEWSLETTER_REDIS_URL": redis_url}
    argv = [sys.executable, "-m", "bench.throttle", str(relay_id), str(seconds)]
    with contextlib.ExitStack() as stack:
        running = []
        for _ in range(_PROCESSES):
            process = subprocess.Popen(
                argv, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            running.append(process)
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in running:
            assert process.stdin is not None
            process.stdin.write("go\n")
        told = [process.communicate(timeout=seconds + 60)[0] for process in running]
    return sorted((when, number) for lines in told for when, number in json.loads(lines))


def _windows(taken: Sequence[tuple[float, int]], seconds: float) -> tuple[int, int]:
    """Return the most and the least messages in any `seconds`, the first and last moments left out."""
    begun, ended = taken[0][0] + _MARGIN / 2, taken[-1][0] - _MARGIN / 2
    inside: deque[tuple[float, int]] = deque()
    total, most, least = 0, 0, sys.maxsize
    for when, number in taken:
        inside.append((when, number))
        total += number
        while inside[0][0] <= when - seconds:
            total -= inside.popleft()[1]
        most = max(most, total)
        if begun + seconds <= when <= ended:
            least = min(least, total)
    return most, least


def _work(relay_id: int, seconds: float) -> None:
    """Ask for more than there is, wait as long as told, and say what was granted when."""
    app = create_app()
    with app.app_context():
        throttle = Throttle(app, f"bench:{id(app)}")
        print("ready", flush=True)
        sys.stdin.readline()
        grants: list[tuple[float, int]] = []
        ends = time.monotonic() + seconds
        while (now := time.monotonic()) < ends:
            grant = throttle.ask(relay_id, 1, None, _WANTED, bulk=True)
            if grant.granted:
                grants.append((now, grant.granted))
            time.sleep(grant.wait)
    print(json.dumps(grants))


if __name__ == "__main__":
    _work(int(sys.argv[1]), float(sys.argv[2]))
