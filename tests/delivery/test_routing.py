"""Which relays take a mail, and which comes first."""

import random
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.delivery.routing import CONFIRMATIONS, closeness, in_order

NEWS = "news@gazette.example.org"


@dataclass(frozen=True)
class Route:
    name: str = ""
    senders: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    weight: int = 1


@pytest.mark.parametrize(
    ("senders", "streams", "close"),
    [
        ((), (), 0),
        ((NEWS,), (), 1),
        (("NEWS@Gazette.example.org",), (), 1),
        (("gazette.example.org",), (), 1),
        ((), ("daily", "weekly"), 1),
        ((NEWS,), ("daily",), 2),
        (("example.org",), (), None),  # another domain, whatever stands under it
        (("other@gazette.example.org",), (), None),
        ((), (CONFIRMATIONS,), None),
        ((NEWS,), ("weekly",), None),
    ],
)
def test_a_route_takes_what_it_names_and_all_where_it_names_nothing(
    senders: tuple[str, ...], streams: tuple[str, ...], close: int | None
) -> None:
    assert closeness(Route(senders=senders, streams=streams), NEWS, "daily") == close


def test_a_route_that_names_the_mail_beats_one_that_takes_all_and_zero_weight_comes_after_its_like() -> None:
    routes = [
        Route("spare", weight=0),
        Route("general", weight=1000),
        Route("spare for news", senders=(NEWS,), weight=0),
        Route("news", senders=(NEWS,)),
        Route("daily news", senders=(NEWS,), streams=("daily",), weight=0),
        Route("confirmations", streams=(CONFIRMATIONS,)),
    ]
    found = [route.name for route in in_order(routes, NEWS, "daily", random.Random(1).random)]
    assert found == ["daily news", "news", "spare for news", "general", "spare"]


def test_the_first_is_drawn_by_weight() -> None:
    draw = random.Random(5).random
    routes = [Route("a", weight=1), Route("b", weight=3), Route("c", weight=0)]
    first = Counter(in_order(routes, NEWS, "daily", draw)[0].name for _ in range(4000))
    assert first["c"] == 0
    assert 2850 < first["b"] < 3150


@given(
    st.lists(
        st.builds(
            Route,
            senders=st.sampled_from([(), (NEWS,), ("example.org",)]),
            streams=st.sampled_from([(), ("daily",), ("weekly",)]),
            weight=st.integers(0, 1000),
        )
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_holds_each_route_that_takes_the_mail_once(routes: list[Route], chance: random.Random) -> None:
    found = in_order(routes, NEWS, "daily", chance.random)
    assert Counter(found) == Counter(route for route in routes if closeness(route, NEWS, "daily") is not None)
    ranks = [(-(closeness(route, NEWS, "daily") or 0), route.weight == 0) for route in found]
    assert ranks == sorted(ranks)
