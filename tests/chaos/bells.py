"""X9: every bell rings five times, and two schedules look what is due through the nights in which the clocks change."""

import datetime
import threading
from collections import Counter
from typing import Final

from celery import Celery
from sqlalchemy import select, update

from newsletter.audience.models import Cadence, Cut, Subscriber, Subscription
from newsletter.content.models import Article, ArticleCategory
from newsletter.content.numbers import take_numbers
from newsletter.delivery import starting
from newsletter.delivery.models import Delivery
from newsletter.digests import due
from newsletter.digests.models import Run, RunZone
from newsletter.foundation.db import db, transaction
from newsletter.tasks import ringing
from tests.chaos.ground import Ground
from tests.chaos.result import Result, Size, experiment
from tests.chaos.stage import Stage, staged

ZONES: Final = ("Europe/Berlin", "America/New_York", "Asia/Tokyo")
NIGHTS: Final = (
    datetime.datetime(2027, 3, 13, 12, tzinfo=datetime.UTC),  # New York loses an hour
    datetime.datetime(2027, 3, 27, 12, tzinfo=datetime.UTC),  # Berlin loses an hour
    datetime.datetime(2027, 10, 30, 12, tzinfo=datetime.UTC),  # Berlin has one twice
    datetime.datetime(2027, 11, 6, 12, tzinfo=datetime.UTC),  # New York has one twice
)
"""Where the 24 hours begin."""
HOUR, MINUTE = 2, 30
"""A time that the one night does not have and the other has twice."""


def x9(ground: Ground, size: Size, seed: int) -> Result:
    """Ring five times for everything; then let two schedules look, side by side, minute by minute."""
    readers = 1_000 if size is Size.CI else 10_000
    with experiment("X9", size, seed) as result:
        with staged(ground, "postgresql", readers, patches=("--bells", "1")) as stage:
            stage.plan()
            stage.worker()
            with Celery(broker=stage.place.redis_url) as bells:
                for _ in range(5):
                    for task, queue in ringing._QUEUES.items():
                        bells.send_task(task, queue=queue.value)
            stage.over()
            stage.judge(result, unknown=0)
        step = datetime.timedelta(minutes=10 if size is Size.CI else 1)
        with staged(ground, "postgresql", 30) as stage:
            stage.ask(_spread)
            for number, night in enumerate(NIGHTS, 1):
                _through(stage, night, step, number)
            stage.ask(lambda: _compare(result))
    return result


def _spread() -> None:
    """Give the readers three zones, and the cadence an hour that is not always there."""
    with transaction() as session:
        session.execute(update(Cadence).values(hour=HOUR, minute=MINUTE))
        start = NIGHTS[0]
        for place, zone in enumerate(ZONES):
            session.execute(update(Subscriber).where(Subscriber.id % len(ZONES) == place).values(timezone=zone))
            if zone != ZONES[0]:
                session.add_all(
                    Cut(cadence_id=cadence, timezone=zone, number=0, period="", since=start) for cadence in (1, 2)
                )
        session.execute(update(Cut).values(since=start))
        session.execute(update(Subscription).where(Subscription.cadence_id == 2).values(cadence_id=1))


def _through(stage: Stage, start: datetime.datetime, step: datetime.timedelta, number: int) -> None:
    """Play 24 hours with two schedules that look at the same instants, after news has come."""
    stage.ask(lambda: _publish(number, start))
    both = threading.Barrier(2)
    problems: list[BaseException] = []

    def schedule() -> None:
        with stage.app.app_context():
            now = start
            while now < start + datetime.timedelta(hours=24):
                both.wait(60)
                for wave in due.due_waves(db.session(), now):
                    with transaction() as session:
                        starting.start_wave(session, wave, now)
                db.session.remove()
                now += step

    def guarded() -> None:
        try:
            schedule()
        except BaseException as error:  # noqa: BLE001  (handed on to whoever waits)
            problems.append(error)
            both.abort()

    threads = [threading.Thread(target=guarded) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]


def _publish(number: int, now: datetime.datetime) -> None:
    with transaction() as session:
        (last,) = take_numbers(session, 1)
        article = Article(
            id=last,
            identity=f"night{number}",
            canonical_hash=f"night{number}",
            number=last,
            url=f"https://gazette.example.org/night-{number}",
            title=f"Night {number}",
            summary="",
            first_seen_at=now,
            updated_at=now,
            available_at=now,
        )
        session.add(article)
        session.flush()
        session.add(ArticleCategory(article_id=article.id, category_id=1))


def _compare(result: Result) -> None:
    """Count what each reader was planned for: one mail for each night's news, one run for each zone and period."""
    mails = Counter(db.session().scalars(select(Delivery.subscriber_id).where(Delivery.subscriber_id.is_not(None))))
    periods = Counter(db.session().execute(select(RunZone.timezone, Run.period).join(Run, Run.id == RunZone.run_id)))
    result.exactly("readers_without_a_mail_for_each_night", sum(n < len(NIGHTS) for n in mails.values()), 0)
    result.exactly("readers_with_more_mails_than_nights", sum(n > len(NIGHTS) for n in mails.values()), 0)
    result.at_least("readers_in_three_zones", len(mails), 30)
    result.exactly("periods_with_two_runs", sum(n > 1 for n in periods.values()), 0)
    result.at_least("periods", len(periods), len(NIGHTS) * len(ZONES))
