"""Generated data: like real data in everything that matters, and never among real people."""

from flask import Flask
from sqlalchemy import func, select

from newsletter.audience.models import Consent, ConsentAct, Subscriber, Subscription
from newsletter.content.models import Article, ArticleCategory
from newsletter.foundation.db import db, transaction
from newsletter.publication import identity
from tests.cli.conftest import Command
from tests.conftest import NOW
from tests.gazette import IDENTITY
from tests.planner import rows_known


def test_readers_are_confirmed_with_consent_and_choices(app_on_each: Flask) -> None:
    command = Command(app_on_each)
    with transaction() as session:
        identity.create(session, IDENTITY, NOW)
    assert command.json("seed", "--readers", "200", "--categories", "5", "--articles", "12")["readers"] == 200
    session = db.session()
    assert (
        session.scalar(select(func.count()).select_from(Subscriber).where(Subscriber.confirmed_at.is_not(None))) == 200
    )
    without = select(Subscriber.id).where(
        ~select(Subscription).where(Subscription.subscriber_id == Subscriber.id).exists()
    )
    assert session.scalars(without).all() == []
    paces = session.execute(select(Subscription.cadence_id, func.count()).group_by(Subscription.cadence_id)).all()
    assert len(paces) == 2
    per_reader = (
        select(func.count().label("n")).select_from(Subscription).group_by(Subscription.subscriber_id).subquery()
    )
    assert session.execute(select(func.min(per_reader.c.n), func.max(per_reader.c.n))).one() == (1, 4)
    acts = dict(session.execute(select(Consent.act, func.count()).group_by(Consent.act)).all())
    assert acts == {ConsentAct.GIVEN: 200, ConsentAct.CONFIRMED: 200}
    assert session.scalar(select(func.count()).select_from(Article)) == 12
    homeless = select(Article.id).where(
        ~select(ArticleCategory).where(ArticleCategory.article_id == Article.id).exists()
    )
    assert session.scalars(homeless).all() == []
    # A digest is planned for them right away: the database must not take the tables for empty.
    assert [rows_known(session, table) for table in (Subscriber, Article)] == [200, 12]
    forecast = command.json("digests", "list")
    assert sum(row["readers"] for row in forecast) == 200
    assert {row["articles"] for row in forecast} == {12}


def test_a_second_time_adds_more(seeded: Command) -> None:
    seeded.run("seed", "--readers", "5", "--categories", "3", "--articles", "0")
    assert len(seeded.json("subscribers", "list", "--limit", "1000")) == 65


def test_it_refuses_a_database_with_real_people(seeded: Command) -> None:
    with transaction() as session:
        session.execute(
            Subscriber.__table__.update().where(Subscriber.id == 1).values(generated=False)  # type: ignore[attr-defined]
        )
    assert "real subscribers" in seeded.run("seed", "--readers", "1", status=1).stderr
