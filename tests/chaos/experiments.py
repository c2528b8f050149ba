"""All experiments by their names."""

from collections.abc import Callable
from typing import Final

from tests.chaos import bells, disk, kills, matrix, orders, poison, relay, rolling, servers, stalls
from tests.chaos.ground import Ground
from tests.chaos.result import Result, Size

EXPERIMENTS: Final[dict[str, Callable[[Ground, Size, int], Result]]] = {
    "X1": kills.x1,
    "X2": kills.x2,
    "X3": matrix.x3,
    "X4": stalls.x4,
    "X5": relay.x5,
    "X6": relay.x6,
    "X7": servers.x7,
    "X8": servers.x8,
    "X9": bells.x9,
    "X11": disk.x11,
    "X12": rolling.x12,
    "X13": orders.x13,
    "X14": orders.x14,
    "X15": poison.x15,
}
