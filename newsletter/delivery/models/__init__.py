"""Delivery's tables."""

from newsletter.delivery.models.ledger import (
    CHUNKS,
    Chunk,
    ChunkState,
    Delivery,
    DeliveryState,
    Mailing,
    MailingKind,
    MailingState,
    Reason,
    Worker,
)
from newsletter.delivery.models.relays import (
    FROM_SETTINGS,
    HostLimit,
    MailHost,
    Meter,
    Relay,
    RelayState,
    Slowdown,
    Tls,
)

__all__ = [
    "CHUNKS",
    "FROM_SETTINGS",
    "Chunk",
    "ChunkState",
    "Delivery",
    "DeliveryState",
    "HostLimit",
    "MailHost",
    "Mailing",
    "MailingKind",
    "MailingState",
    "Meter",
    "Reason",
    "Relay",
    "RelayState",
    "Slowdown",
    "Tls",
    "Worker",
]
