"""Where a process keeps what all workers must agree on: in itself, in the database, or in Redis with that behind it.

Redis' client is imported only where there is a Redis: it takes five megabytes.
"""

from flask import Flask

from newsletter.delivery.database_meters import DatabaseMeters
from newsletter.delivery.limits import Meters, OwnMeters
from newsletter.delivery.sharing import AllMine, Shares, TableShares
from newsletter.foundation.settings import Settings


def meters(app: Flask, settings: Settings) -> Meters:
    """Return the meters for this process. On SQLite only one process sends, so its own will do."""
    if settings.database.startswith("sqlite"):
        return OwnMeters()
    database = DatabaseMeters(app)
    if not settings.redis_url:
        return database
    from newsletter.delivery.redis_meters import RedisMeters, connect
    from newsletter.delivery.shared_meters import FailingOver

    return FailingOver(RedisMeters(connect(settings.redis_url)), database)


def shares(app: Flask, settings: Settings, owner: str) -> Shares:
    """Return the shares for this process. On SQLite only one process sends."""
    if settings.database.startswith("sqlite"):
        return AllMine()
    table = TableShares(app, owner)
    if not settings.redis_url:
        return table
    from newsletter.delivery.redis_meters import connect
    from newsletter.delivery.redis_shares import RedisShares

    return RedisShares(connect(settings.redis_url), owner, table)
