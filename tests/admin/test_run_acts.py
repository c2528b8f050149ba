"""A run's page: why it paused, how fast it may go, and resending to those who failed."""

from html import unescape

import pytest
from flask import Flask
from sqlalchemy import select, update

from newsletter.audience.models import Subscriber, Suppression
from newsletter.audience.models import SuppressionReason as Why
from newsletter.cli.seed import add_articles, add_readers
from newsletter.content import categories
from newsletter.delivery import control
from newsletter.delivery.models import Delivery, DeliveryState, Mailing, MailingState, Reason
from newsletter.delivery.replies import Failure
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.services import services
from tests.admin.browsing import Browser
from tests.delivery import world


@pytest.fixture
def run(place: Flask) -> int:
    """A run that is being sent; two of its readers are called dead, one is blocked, one unknown."""
    with transaction() as session:
        categories.add(session, "Business")
        add_readers(session, services().hasher, 30, 1, utc_now())
        add_articles(session, 6, 1, utc_now())
    made = world.start()
    mailing = _mailing()
    ids = list(db.session.scalars(select(Delivery.id).order_by(Delivery.id)))
    with transaction() as session:
        for place_, failure in enumerate((Failure.READER, Failure.READER, Failure.REPUTATION)):
            session.execute(
                update(Delivery)
                .where(Delivery.id == ids[place_])
                .values(state=DeliveryState.FAILED, reason=Reason.REFUSED, failure=failure, settled_at=utc_now())
            )
        session.execute(
            update(Delivery)
            .where(Delivery.id == ids[3])
            .values(state=DeliveryState.UNKNOWN, unknown_at=utc_now(), offered_at=utc_now())
        )
        session.execute(update(Mailing).values(planned=mailing.planned - 4, failed=3, unknown=1))
    return made.id


def _mailing() -> Mailing:
    db.session.commit()
    return db.session.scalars(select(Mailing).execution_options(populate_existing=True)).one()


def test_why_it_paused_by_itself_stands_on_its_page_and_on_the_overview(run: int, ada: Browser) -> None:
    with transaction() as session:
        control.pause_by_itself(session, _mailing().id, "Of the last 53 answers, <b>3</b> refused.", utc_now())
    page = ada.open(f"/admin/runs/{run}")
    assert "It has paused by itself" in page
    assert "Of the last 53 answers, &lt;b&gt;3&lt;/b&gt; refused." in page
    assert "Of the last 53 answers" in ada.open("/admin/")
    ada.press(f"/admin/runs/{run}/resume")
    assert "paused by itself" not in ada.open(f"/admin/runs/{run}")
    assert "Of the last 53 answers" not in ada.open("/admin/")


def test_a_speed_is_set_shown_and_lifted(run: int, ada: Browser) -> None:
    assert "It goes as fast as the relays take it." in ada.open(f"/admin/runs/{run}")
    ada.press(f"/admin/runs/{run}/speed", per_hour="1200")
    assert _mailing().per_hour == 1200
    assert "At most 1,200 mails of it leave in an hour." in ada.open(f"/admin/runs/{run}")
    ada.press(f"/admin/runs/{run}/speed", per_hour="")
    assert _mailing().per_hour is None
    for wrong in ("0", "-4", "fast", "9" * 30, "1e3"):
        answer = ada.press(f"/admin/runs/{run}/speed", per_hour=wrong)
        assert answer.status_code == 422
        assert "whole number" in answer.text
    ada.press(f"/admin/runs/{run}/cancel")
    assert "Mails an hour" not in ada.open(f"/admin/runs/{run}")
    assert ada.press(f"/admin/runs/{run}/speed", per_hour="5").status_code == 409


def test_those_who_failed_are_counted_by_reason_and_resent_by_choice(run: int, ada: Browser) -> None:
    page = unescape(ada.open(f"/admin/runs/{run}"))
    assert "2: the address was called dead" in page
    assert "1: blocked, or against the provider's policy" in page
    assert "message was not as it should be" not in page
    nothing = ada.press(f"/admin/runs/{run}/resend")
    assert nothing.status_code == 422
    assert "Choose at least one reason" in nothing.text
    assert ada.press(f"/admin/runs/{run}/resend", failures=["<script>"]).status_code == 422
    ada.press(f"/admin/runs/{run}/resend", failures=["reputation", "bug"])
    assert "1 mail is offered again" in ada.open(f"/admin/runs/{run}")
    assert (_mailing().failed, _mailing().unknown) == (2, 1)
    with transaction() as session:
        for hash_ in session.scalars(select(Subscriber.address_hash)):
            session.add(Suppression(hash=hash_, reason=Why.OPERATOR, created_at=utc_now()))
    ada.press(f"/admin/runs/{run}/resend", failures=["reader"])
    assert "Nobody is left of these" in ada.open(f"/admin/runs/{run}")


def test_unknown_ones_are_decided_about_for_this_run_alone(run: int, ada: Browser) -> None:
    assert f'href="/admin/unknown?run={run}"' in ada.open(f"/admin/runs/{run}")
    page = ada.open(f"/admin/unknown?run={run}")
    assert f'name="run" value="{run}"' in page
    ada.open("/admin/unknown?run=999", 404)
    assert ada.press("/admin/unknown/settle", act="leave", all="yes", run="999").status_code == 404
    answer = ada.press("/admin/unknown/settle", act="resend", all="yes", run=str(run))
    assert answer.location == f"/admin/unknown?run={run}"
    assert _mailing().unknown == 0
    assert "Every mail's fate is known" in unescape(ada.open(f"/admin/unknown?run={run}"))


def test_messages_that_are_rendered_in_full_are_told(run: int, ada: Browser) -> None:
    assert "rendered in full" not in ada.open(f"/admin/runs/{run}")
    with transaction() as session:
        session.execute(update(Mailing).values(rendered_in_full=1234, state=MailingState.SENDING))
    assert "1,234 messages were rendered in full" in ada.open(f"/admin/runs/{run}")
