"""Connections shared by workers that come and go: never more than there are, and none left lying while somebody wants
them."""

import datetime
import random
from pathlib import Path

import hypothesis.strategies as st
import pytest
from flask import Flask
from hypothesis import given

from newsletter.delivery import choosing, workers
from newsletter.delivery.redis_meters import connect
from newsletter.delivery.redis_shares import RedisShares
from newsletter.delivery.sharing import STANDS, AllMine, Claim, TableShares, claim, fair
from newsletter.foundation.db import transaction
from tests.conftest import NOW, make_settings
from tests.servers.redis import RedisServer

SECOND = datetime.timedelta(seconds=1)
OWNERS = st.sampled_from("abcdef")


@given(st.integers(0, 50), st.dictionaries(OWNERS, st.integers(0, 20), min_size=1))
def test_a_fair_share_uses_all_and_gives_nobody_more_than_they_want(total: int, wants: dict[str, int]) -> None:
    given_out = fair(total, wants)
    assert sum(given_out.values()) == min(total, sum(wants.values()))
    assert all(given_out[owner] <= wanted for owner, wanted in wants.items())
    hungry = [share for owner, share in given_out.items() if share < wants[owner]]
    assert not hungry or min(hungry) >= max(given_out.values()) - 1, "who wants more has as much as anybody"


@given(st.integers(1, 12), st.lists(st.tuples(OWNERS, st.integers(0, 12), st.floats(0, 20)), max_size=50))
def test_workers_that_come_and_go_never_hold_more_than_there_is(
    total: int, story: list[tuple[str, int, float]]
) -> None:
    claims: dict[str, Claim] = {}
    now = 0.0
    for owner, wanted, seconds in story:
        now += seconds
        claims = claim(claims, owner, wanted, total, now)
        assert sum(one.held for one in claims.values()) <= total
        assert claims[owner].held <= wanted


def test_a_new_worker_has_its_share_once_the_others_asked_again() -> None:
    claims = claim({}, "a", 10, 10, 0)
    assert claims["a"].held == 10
    claims = claim(claims, "b", 10, 10, 1)
    assert claims["b"].held == 0, "first the other lets go"
    claims = claim(claims, "a", 10, 10, 2)
    claims = claim(claims, "b", 10, 10, 2)
    assert (claims["a"].held, claims["b"].held) == (5, 5)
    claims = claim(claims, "c", 1, 10, 3)
    for owner, wanted in (("a", 10), ("b", 10), ("c", 1), ("a", 10), ("b", 10)):
        claims = claim(claims, owner, wanted, 10, 3)
    assert {owner: one.held for owner, one in claims.items()} == {"a": 4, "b": 5, "c": 1}


def test_the_share_of_a_worker_that_died_is_free_after_a_while() -> None:
    claims = claim(claim({}, "a", 4, 4, 0), "b", 4, 4, 1)
    assert claim(claims, "b", 4, 4, STANDS - 1)["b"].held == 0
    assert claim(claims, "b", 4, 4, STANDS)["b"].held == 4


def test_more_workers_than_connections_leave_some_without() -> None:
    claims: dict[str, Claim] = {}
    for _ in range(2):
        for owner in "abcd":
            claims = claim(claims, owner, 5, 2, 0)
    assert sorted(one.held for one in claims.values()) == [0, 0, 1, 1]


@pytest.mark.redis
def test_workers_share_through_redis(redis_server: RedisServer, app: Flask) -> None:
    redis_server.flush()
    chance = random.Random(5)
    everybody = {name: RedisShares(connect(redis_server.url), name, AllMine()) for name in "abc"}
    held = dict.fromkeys(everybody, 0)
    for _ in range(30):
        name = chance.choice("abc")
        held[name] = everybody[name].share("relay:1", chance.choice([0, 1, 7]), 7, NOW)
        assert sum(held.values()) <= 7
    for _ in range(2):
        for name, shares in everybody.items():
            held[name] = shares.share("relay:1", 7, 7, NOW)
    assert sorted(held.values()) == [2, 2, 3]
    assert everybody["a"].sharers() == 3
    assert everybody["a"].share("relay:2", 4, 4, NOW) == 4, "another relay's are others"


@pytest.mark.redis
def test_at_once_they_do_not_hold_more_either(redis_server: RedisServer) -> None:
    """Two workers that ask between each other's look and change: the second has to look again."""
    redis_server.flush()
    a, b = (RedisShares(connect(redis_server.url), name, AllMine()) for name in "ab")
    between: list[int] = []
    pipeline = a._client.pipeline

    def interrupted(*args: object, **kwargs: object) -> object:
        pipe = pipeline(*args, **kwargs)
        told = pipe.get

        def get(key: str) -> object:
            found = told(key)
            if not between:
                between.append(b.share("relay:1", 5, 5, NOW))
            return found

        pipe.get = get  # type: ignore[assignment, method-assign]
        return pipe

    a._client.pipeline = interrupted  # type: ignore[assignment, method-assign]
    assert (a.share("relay:1", 5, 5, NOW), between) == (0, [5])


def test_without_redis_all_that_were_seen_lately_count_alike(app_on_each: Flask) -> None:
    with transaction() as session:
        for name, ago in (("h:1:a", 0), ("h:2:b", 60), ("h:3:c", 91)):
            workers.show(session, name, NOW - ago * SECOND)
    first, second, third = (TableShares(app_on_each, name) for name in ("h:1:a", "h:2:b", "h:4:d"))
    assert (first.share("k", 9, 5, NOW), second.share("k", 9, 5, NOW)) == (2, 3)
    assert third.share("k", 9, 6, NOW) == 2, "who was not seen yet counts itself"
    assert third.sharers() == 3
    assert first.share("k", 1, 5, NOW) == 1


def test_while_redis_is_away_the_table_decides_and_redis_is_left_alone(app: Flask) -> None:
    tries = []

    class Gone(RedisShares):
        def _in_redis(self, key: str, wanted: int, total: int) -> int:
            tries.append(key)
            return super()._in_redis(key, wanted, total)

    shares = Gone(connect("redis://127.0.0.1:1/0"), "h:1:a", TableShares(app, "h:1:a"))
    assert [shares.share("k", 9, 5, NOW + seconds * SECOND) for seconds in (0, 1, 9)] == [5, 5, 5]
    assert len(tries) == 1
    shares.share("k", 9, 5, NOW + 10 * SECOND)
    assert len(tries) == 2


def test_each_installation_shares_in_its_way(app: Flask, tmp_path: Path) -> None:
    url = "postgresql+psycopg://nobody@127.0.0.1:1/none"
    assert isinstance(choosing.shares(app, make_settings(tmp_path), "o"), AllMine)
    assert isinstance(choosing.shares(app, make_settings(tmp_path, database_url=url), "o"), TableShares)
    both = make_settings(tmp_path, database_url=url, redis_url="redis://127.0.0.1:1/0")
    assert isinstance(choosing.shares(app, both, "o"), RedisShares)
    assert AllMine().share("k", 3, 9, NOW) == 3
