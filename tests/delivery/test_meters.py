"""The same promises whatever keeps the meters: memory, a real Redis, either database; also when Redis goes away."""

import contextlib
import datetime
import random
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import redis
from flask import Flask

from newsletter.delivery import choosing, database_meters, limits
from newsletter.delivery.database_meters import DatabaseMeters
from newsletter.delivery.limits import SECOND, Grant, Limit, Meters, OwnMeters
from newsletter.delivery.models import Meter
from newsletter.delivery.redis_meters import RedisMeters, connect
from newsletter.delivery.shared_meters import AWAY, FailingOver
from newsletter.foundation import application
from newsletter.foundation.db import db, transaction
from newsletter.foundation.ports import LOOPBACK, free_port
from tests.conftest import make_settings
from tests.delivery.meters import Clock, TimedRedisMeters
from tests.delivery.test_limits import most_in, together, work
from tests.servers.process import serving
from tests.servers.redis import RedisServer, program

KINDS = [
    "own",
    pytest.param("redis", marks=pytest.mark.redis),
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.postgres),
]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def redis_client(redis_server: RedisServer) -> Iterator["redis.Redis"]:
    redis_server.flush()
    with redis_server.client() as client:
        yield client


@pytest.fixture(params=KINDS)
def meters(request: pytest.FixtureRequest, clock: Clock) -> Iterator[Meters]:
    if request.param == "own":
        yield OwnMeters(clock)
    elif request.param == "redis":
        yield TimedRedisMeters(request.getfixturevalue("redis_client"), clock)
    elif request.param == "sqlite":
        yield DatabaseMeters(request.getfixturevalue("app"), clock)
    else:
        folder = request.getfixturevalue("tmp_path")
        with request.getfixturevalue("postgres_databases").fresh() as url, _application(folder, url) as app:
            yield DatabaseMeters(app, clock)


@contextlib.contextmanager
def _application(folder: Path, url: str) -> Iterator[Flask]:
    app = application.build(make_settings(folder, database_url=url))
    with app.app_context():
        try:
            yield app
        finally:
            db.session.remove()
            db.engine.dispose()


def test_all_meters_agree_with_the_arithmetic(meters: Meters, clock: Clock) -> None:
    """A long random story, told to the meters under test and to those in memory."""
    model, chance = OwnMeters(clock), random.Random(7)
    some = [
        [Limit.of("slow", 100, 3600)],
        [Limit.of("fast", 2500, 1), Limit.of("m", 90_000, 60)],
        [Limit.of("mine", 7, 1), Limit.of("fast", 2500, 1)],
        [Limit.of("hosts", 3, 1, line="l", since=clock.now + 40 * SECOND)],
    ]
    for step in range(120):
        clock.sleep(-20 if step == 60 else chance.choice([0, 0.001, 0.25, 1, 36, 70]))
        asked = chance.choice(some)
        act = chance.random()
        if act < 0.1:
            number = chance.randint(1, 5)
            meters.give_back(asked, number)
            model.give_back(asked, number)
        elif act < 0.2:
            given = ("l", chance.randint(1, 90), 1e6 / 3, clock.now, clock.now + chance.choice([0, 10**10]))
            assert meters.line_up(*given) == model.line_up(*given)
        else:
            wanted, ahead, cold = chance.randint(0, 3000), chance.random() < 0.2, chance.random() < 0.05
            grant = meters.take(asked, wanted, ahead=ahead, cold=cold)
            expected = model.take(asked, wanted, ahead=ahead, cold=cold)
            assert grant.granted == expected.granted
            assert grant.wait == pytest.approx(expected.wait, abs=2e-6)


def test_of_the_time_before_a_line_began_nothing_is_kept(meters: Meters, clock: Clock) -> None:
    limit = Limit.of("a", 10, 1, line="l", since=clock.now + 20 * SECOND)
    meters.take([limit], 5)
    meters.line_up("l", 600, limit.interval, clock.now, 2**53)
    clock.sleep(25)
    assert meters.take([limit], 1000).granted == 55


def test_workers_together_keep_the_limit_and_use_it_up(meters: Meters, clock: Clock) -> None:
    took = together(work(meters, clock, [Limit.of("a", 12, 1), Limit.of("h", 72_000, 3600)], 65, seed=1, workers=2))
    assert most_in(took, 60 * SECOND) <= 720 * 1.02 + 1
    assert sum(number for _, number in took) >= 780 * 0.98


@pytest.mark.parametrize("kind", ["own", "redis", "postgresql", "sqlite"])
def test_threads_at_once_never_take_more_than_there_is(
    kind: str, request: pytest.FixtureRequest, clock: Clock, tmp_path: Path
) -> None:
    """The clock stands still, so the count is exact: what one tolerance holds, however many ask at once."""
    if kind == "postgresql":
        with request.getfixturevalue("postgres_databases").fresh() as url, _application(tmp_path, url) as app:
            _rush(lambda: DatabaseMeters(app, clock))
    elif kind == "sqlite":
        app = request.getfixturevalue("app")
        _rush(lambda: DatabaseMeters(app, clock))
    elif kind == "redis":
        client = request.getfixturevalue("redis_client")
        _rush(lambda: TimedRedisMeters(client, clock))
    else:
        own = OwnMeters(clock)
        _rush(lambda: own)


def _rush(make: Callable[[], Meters]) -> None:
    taken: list[int] = []
    problems: list[BaseException] = []
    ready = threading.Barrier(4)

    def ask() -> None:
        try:
            meters = make()
            ready.wait(30)
            some = [Limit.of("b", 100, 1), Limit.of("a", 80, 1)]
            taken.append(sum(meters.take(some, 3).granted for _ in range(15)))
        except BaseException as problem:  # noqa: BLE001  (told below, in the test's own thread)
            problems.append(problem)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not problems
    assert sum(taken) == 40


_ASKING = """
import sys
from newsletter.delivery.limits import Limit
from newsletter.delivery.redis_meters import RedisMeters, connect
meters, sent = RedisMeters(connect(sys.argv[1])), 0
sys.stdin.readline()
for _ in range(200):
    sent += meters.take([Limit.of("shared", 1000, 3600)], 2, ahead=False).granted
print(sent)
"""


@pytest.mark.redis
def test_processes_share_one_limit(redis_server: RedisServer) -> None:
    """On the server's own clock: 3.6 s pass between two messages, so the count tells how many intervals have passed."""
    redis_server.flush()
    with redis_server.client() as client:
        begun = client.time()
        running = [
            subprocess.Popen(
                [sys.executable, "-c", _ASKING, redis_server.url],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(4)
        ]
        taken = sum(int(process.communicate("go\n", timeout=120)[0]) for process in running)
        seconds = client.time()[0] + 1 - begun[0]
    assert 1 <= taken <= 1 + seconds / 3.6


@pytest.mark.redis
def test_what_nobody_uses_vanishes_from_redis(redis_client: "redis.Redis") -> None:
    meters = RedisMeters(redis_client)
    meters.take([Limit.of("a", 100, 3600)], 1)
    meters.give_back([Limit.of("a", 100, 3600)], 1)
    meters.line_up("l", 5, 36e6, limits.microseconds(), 2**53)
    keys = list(redis_client.scan_iter("*"))
    assert len(keys) == 2
    assert all(0 < redis_client.pttl(key) < 4_000_000 for key in keys)


@pytest.mark.redis
def test_the_servers_clock_is_the_one_that_counts(redis_client: "redis.Redis", app: Flask) -> None:
    limit = Limit.of("a", 1, 3600)
    for meters in (RedisMeters(redis_client), DatabaseMeters(app)):
        first, second = meters.take([limit], 1), meters.take([limit], 1)
        assert (first.granted, second.granted) == (1, 0)
        assert 3500 < second.wait <= 3600


def test_each_installation_has_its_meters(tmp_path: Path, app: Flask) -> None:
    url = "postgresql+psycopg://nobody@127.0.0.1:1/none"
    assert isinstance(choosing.meters(app, make_settings(tmp_path)), OwnMeters)
    assert isinstance(choosing.meters(app, make_settings(tmp_path, database_url=url)), DatabaseMeters)
    both = make_settings(tmp_path, database_url=url, redis_url="redis://127.0.0.1:1/0")
    assert isinstance(choosing.meters(app, both), FailingOver)


class AwayRedisMeters(TimedRedisMeters):
    """Meters in a Redis that one worker can be cut off from."""

    cut = False

    def take(self, limits: Sequence[Limit], wanted: int, *, ahead: bool = False, cold: bool = False) -> Grant:
        self.ping()
        return super().take(limits, wanted, ahead=ahead, cold=cold)

    def give_back(self, limits: Sequence[Limit], number: int) -> None:
        self.ping()
        super().give_back(limits, number)

    def ping(self) -> None:
        if self.cut:
            raise redis.ConnectionError("cut off")
        super().ping()


@pytest.mark.redis
def test_redis_that_goes_and_comes_never_raises_the_limit(
    redis_client: "redis.Redis", app: Flask, clock: Clock
) -> None:
    firsts = [AwayRedisMeters(redis_client, clock) for _ in range(4)]
    database = DatabaseMeters(app, clock)
    workers = [FailingOver(first, database, clock) for first in firsts]
    limit, chance = Limit.of("a", 2, 1), random.Random(3)
    took: list[tuple[int, int]] = []
    waits = [0] * 4
    begun = clock.now
    while clock.now < begun + 110 * SECOND:
        clock.sleep(0.1)
        seconds = (clock.now - begun) / SECOND
        for number, first in enumerate(firsts):
            # First all lose it, then one alone does, again and again.
            first.cut = 20 < seconds < 35 or (number == 0 and 55 < seconds < 90)
        for number in chance.sample(range(4), 4):
            if waits[number] <= clock.now:
                grant = workers[number].take([limit], 100)
                waits[number] = clock.now + round(grant.wait * SECOND)
                if grant.granted:
                    took.append((clock.now, grant.granted))
    assert most_in(took, 60 * SECOND) <= 120 * 1.02 + 1
    assert sum(number for _, number in took) >= 110 * 2 * 0.95, "nobody waits for Redis"
    assert database.look(AWAY) > begun + 85 * SECOND, "who cannot reach it prolongs it for all"


@pytest.mark.redis
def test_what_was_taken_elsewhere_is_not_given_back_here(redis_client: "redis.Redis", app: Flask, clock: Clock) -> None:
    first = AwayRedisMeters(redis_client, clock)
    both = FailingOver(first, DatabaseMeters(app, clock), clock)
    limit = Limit.of("a", 10, 1)
    assert both.take([limit], 5).granted == 5
    both.give_back([limit], 2)
    assert both.take([limit], 5).granted == 2
    first.cut = True
    both.give_back([limit], 2)
    assert both.take([limit], 5).granted == 0


@pytest.mark.redis
def test_a_redis_that_is_killed_leaves_the_database_to_count(app: Flask, tmp_path: Path) -> None:
    limit = Limit.of("a", 3, 3600)
    with tempfile.TemporaryDirectory() as name:
        port = free_port()
        server = RedisServer(f"redis://{LOOPBACK}:{port}/0")
        argv = [program(), "--port", str(port), "--bind", LOOPBACK, "--dir", name, "--save", "", "--appendonly", "no"]
        both = FailingOver(RedisMeters(connect(server.url)), DatabaseMeters(app))
        with serving(argv, Path(name), server.answers, signal.SIGKILL):
            assert both.take([limit], 5).granted == 1
        assert [both.take([limit], 5).granted for _ in range(3)] == [0, 0, 0], "not unlimited, and nothing of a burst"
    assert db.session.get(Meter, AWAY) is not None


@pytest.mark.redis
def test_a_redis_that_is_full_counts_as_away(app: Flask, redis_client: "redis.Redis", clock: Clock) -> None:
    both = FailingOver(RedisMeters(redis_client), DatabaseMeters(app, clock), clock)
    given = redis_client.config_get("maxmemory")["maxmemory"] or 0
    redis_client.config_set("maxmemory", 1)
    try:
        assert both.take([Limit.of("a", 10, 1)], 9) == Grant(0, 0.2)
        clock.sleep(0.5)
        assert both.take([Limit.of("a", 10, 1)], 9) == Grant(5, 0.2)
        assert DatabaseMeters(app, clock).look("a") > 0
    finally:
        redis_client.config_set("maxmemory", given)


def test_old_numbers_are_forgotten(app_on_each: Flask, clock: Clock) -> None:
    meters = DatabaseMeters(app_on_each, clock)
    meters.take([Limit.of("old", 1, 1)], 1)
    clock.sleep(2 * 86_400)
    meters.take([Limit.of("new", 1, 1)], 1)
    with transaction() as session:
        database_meters.forget(session, datetime.datetime.fromtimestamp(clock.now / SECOND, datetime.UTC))
    assert (meters.look("old"), meters.look("new") > 0) == (0, True)
