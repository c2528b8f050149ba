"""What operators do on their pages, and what each page says when there is nothing to show."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask

from newsletter.admin import words
from newsletter.admin.forecasts import KEPT
from newsletter.audience import cadences
from newsletter.audience.models import Subscriber
from newsletter.cli.seed import add_articles, add_readers
from newsletter.content import categories
from newsletter.content.models import Article
from newsletter.delivery import workers
from newsletter.delivery.models import FROM_SETTINGS, Delivery, DeliveryState, Mailing, RelayState
from newsletter.digests.models import Run
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.services import services
from newsletter.operators import alarms
from newsletter.publication import identity
from tests.admin.browsing import SITE, Browser
from tests.admin.conftest import PASSWORD
from tests.conftest import NOW


@pytest.fixture
def busy(place: Flask) -> Flask:
    """A service with readers and articles."""
    with transaction() as session:
        for name in ("Business", "Politics", "World"):
            categories.add(session, name)
        add_readers(session, services().hasher, 30, 3, utc_now())
        add_articles(session, 6, 3, utc_now())
    return place


def key_on(page: str) -> str:
    found = re.search(r'name="key" value="([^"]+)"', page)
    assert found, "the page offers nothing to send"
    return found[1]


def unknown(number: int) -> list[int]:
    """Let the fate of `number` deliveries be unknown."""
    with transaction() as session:
        chosen = session.query(Delivery).order_by(Delivery.id).limit(number).all()
        for delivery in chosen:
            delivery.state, delivery.attempts, delivery.offered_at = DeliveryState.UNKNOWN, 1, utc_now()
            delivery.unknown_at = delivery.offered_at
        mailing = session.query(Mailing).one()
        mailing.planned, mailing.unknown = mailing.planned - number, mailing.unknown + number
        return [delivery.id for delivery in chosen]


@pytest.mark.parametrize(
    ("path", "step"),
    [
        ("/admin/", "Preview the first one"),
        ("/admin/categories", "Add the first one below"),
        ("/admin/digests/1", "See how the sources are"),
        ("/admin/digests/1/preview", "See which articles come"),
        ("/admin/runs", "preview it, send a test, or send it now"),
        ("/admin/unknown", "See how the last digests went"),
    ],
)
def test_an_empty_page_offers_the_next_step(ada: Browser, path: str, step: str) -> None:
    assert step in ada.open(path)


def test_the_overview_says_what_is_wrong_and_what_needs_somebody(busy: Flask, ada: Browser) -> None:
    assert "No worker is at work" in ada.open("/admin/")
    with transaction() as session:
        workers.show(session, "mail-1:1:a", utc_now())
        alarms.sound(session, "x", "The digest “Daily” is late.", utc_now())
        session.add(RelayState(id=FROM_SETTINGS, failures=2, last_error="454 try later", last_error_at=utc_now()))
    page = ada.open("/admin/")
    assert "No worker is at work" not in page
    assert "The digest “Daily” is late." in page
    assert "454 try later" in page
    assert "All is well" not in page
    with transaction() as session:
        alarm = alarms.standing(session)[0].id
    ada.press(f"/admin/alarms/{alarm}/seen")
    assert "is late" not in ada.open("/admin/")


def test_the_overview_counts_anew_after_a_minute_or_a_run(busy: Flask, ada: Browser) -> None:
    figures = re.compile(r'<td class="number">(\d+)</td><td class="number">(\d+)</td>')
    first = figures.search(ada.open("/admin/"))
    assert first
    with transaction() as session:
        add_articles(session, 2, 3, utc_now())
    kept = figures.search(ada.open("/admin/"))
    assert kept
    assert kept[2] == first[2] == "6"
    kept_forecasts = busy.extensions["newsletter.forecasts"]
    for cadence, (state, at, counted) in list(kept_forecasts.items()):
        kept_forecasts[cadence] = (state, at - KEPT, counted)
    later = figures.search(ada.open("/admin/"))
    assert later
    assert later[2] == "8"
    ada.press("/admin/digests/1/send", key=key_on(ada.open("/admin/digests/1")))
    after = figures.search(ada.open("/admin/"))
    assert after
    assert (after[1], after[2]) == ("0", "0")


def test_an_incomplete_publication_is_named_and_sends_nothing(busy: Flask, ada: Browser) -> None:
    with transaction() as session:
        identity.update(session, NOW, postal_address="")
    assert "Nothing can be sent yet" in ada.open("/admin/")
    assert "Send now" not in ada.open("/admin/digests/1")
    answer = ada.press("/admin/digests/1/send", key="after-0")
    assert answer.status_code == 409
    assert "postal address is missing" in answer.get_data(as_text=True)
    assert db.session.query(Run).count() == 0


def test_sending_shows_its_consequences_first_and_makes_one_run(busy: Flask, ada: Browser) -> None:
    page = ada.open("/admin/digests/1")
    readers = re.search(r"at most <strong>(\d+) readers", page)
    assert readers
    assert "6 new articles" in page
    key = key_on(page)
    first = ada.press("/admin/digests/1/send", key=key)
    again = ada.press("/admin/digests/1/send", key=key)
    run = db.session.query(Run).one()
    assert first.location == again.location == f"/admin/runs/{run.id}"
    assert run.readers == int(readers[1])
    assert "Nothing was sent twice" in ada.open(f"/admin/runs/{run.id}")


def test_two_operators_at_once_make_one_run(busy: Flask, ada: Browser) -> None:
    key = key_on(ada.open("/admin/digests/1"))
    browsers = [Browser(busy.test_client()) for _ in range(4)]
    for browser in browsers:
        browser.sign_in("ada", PASSWORD)

    def send(browser: Browser) -> str | None:
        with busy.app_context():
            try:
                return browser.press("/admin/digests/1/send", key=key).location
            finally:
                db.session.remove()

    with ThreadPoolExecutor(4) as pool:
        led_to = set(pool.map(send, browsers))
    db.session.rollback()
    assert led_to == {f"/admin/runs/{db.session.query(Run).one().id}"}


def test_whoever_looked_before_another_digest_went_out_must_look_again(busy: Flask, ada: Browser) -> None:
    key = key_on(ada.open("/admin/digests/1"))
    ada.press("/admin/digests/1/send", key=key)
    with transaction() as session:
        add_articles(session, 3, 3, utc_now())
    newer = key_on(ada.open("/admin/digests/1"))
    assert newer != key
    ada.press("/admin/digests/1/send", key=newer)
    with transaction() as session:
        add_articles(session, 3, 3, utc_now())
    ada.open("/admin/digests/1")
    answer = ada.press("/admin/digests/1/send", key="after-0-of-long-ago")
    assert answer.status_code == 409
    assert "look again" in answer.get_data(as_text=True)


def test_a_run_tells_the_truth_about_every_mail(busy: Flask, ada: Browser) -> None:
    ada.press("/admin/digests/1/send", key=key_on(ada.open("/admin/digests/1")))
    run = db.session.query(Run).one()
    unknown(2)
    page = ada.open(f"/admin/runs/{run.id}")
    assert "data-live" in page
    assert '<noscript><meta http-equiv="refresh"' in page
    answer = ada.client.get(f"/admin/runs/{run.id}/progress", base_url=SITE).get_json()
    assert answer["state"] == "sending"
    assert answer["counts"]["unknown"] == "2"
    assert answer["total"] == run.readers
    assert sum(int(figure) for figure in answer["counts"].values()) == run.readers
    listed = ada.open(f"/admin/runs/{run.id}/deliveries?state=unknown")
    assert listed.count("@readers.example") == 2


def test_a_run_is_paused_resumed_and_cancelled(busy: Flask, ada: Browser) -> None:
    ada.press("/admin/digests/1/send", key=key_on(ada.open("/admin/digests/1")))
    run = db.session.query(Run).one().id
    ada.press(f"/admin/runs/{run}/pause")
    page = ada.open(f"/admin/runs/{run}")
    assert "Resume" in page
    assert "data-live" not in page
    ada.press(f"/admin/runs/{run}/resume")
    assert "Cancel the digest" in ada.open(f"/admin/runs/{run}")
    ada.press(f"/admin/runs/{run}/cancel")
    assert "cancelled" in ada.open(f"/admin/runs/{run}")
    assert ada.press(f"/admin/runs/{run}/cancel").status_code == 409


def test_unknown_deliveries_are_decided_one_by_one_and_all_at_once(busy: Flask, ada: Browser) -> None:
    ada.press("/admin/digests/1/send", key=key_on(ada.open("/admin/digests/1")))
    first, second, *_ = unknown(5)
    assert ">5<" in ada.open("/admin/unknown").replace(" ", "")
    ada.press("/admin/unknown/settle", delivery=str(first), act="leave")
    ada.press("/admin/unknown/settle", delivery=str(second), act="resend")
    assert ada.press("/admin/unknown/settle", delivery=str(second), act="resend").status_code == 404
    assert ada.press("/admin/unknown/settle", act="resend").status_code == 422
    assert ada.press("/admin/unknown/settle", all="yes", act="burn").status_code == 422
    ada.press("/admin/unknown/settle", all="yes", act="resend")
    assert "Every mail's fate is known" in ada.open("/admin/unknown").replace("&#39;", "'")
    db.session.expire_all()
    states = {delivery.id: delivery.state for delivery in db.session.query(Delivery)}
    assert states[first] is DeliveryState.UNKNOWN
    assert states[second] is DeliveryState.PLANNED


@pytest.mark.parametrize(
    ("act", "back", "shown"),
    [("pin", "unpin", "lead"), ("leave-out", "put-back", "left out"), ("hold", "release", "held")],
)
def test_an_editor_changes_their_mind_about_an_article(
    busy: Flask, ada: Browser, act: str, back: str, shown: str
) -> None:
    article = db.session.query(Article).order_by(Article.id).first()
    assert article is not None
    path = f"/admin/digests/1/articles/{article.id}"
    badge = re.compile(rf"</svg>{shown}</span>")
    assert not badge.search(ada.open("/admin/digests/1"))
    ada.press(path, act=act)
    assert badge.search(ada.open("/admin/digests/1"))
    ada.press(path, act=back)
    assert not badge.search(ada.open("/admin/digests/1"))


def test_a_withdrawn_article_is_gone_for_good(busy: Flask, ada: Browser) -> None:
    article = db.session.query(Article).order_by(Article.id).first()
    assert article is not None
    assert article.title in ada.open("/admin/digests/1")
    ada.press(f"/admin/digests/1/articles/{article.id}", act="withdraw")
    assert article.title not in ada.open("/admin/digests/1")
    assert ada.press(f"/admin/digests/1/articles/{article.id}", act="explode").status_code == 422


def test_a_digest_is_held_and_released(busy: Flask, ada: Browser) -> None:
    found = re.search(r'name="period" value="([^"]+)"', ada.open("/admin/digests/1"))
    assert found
    ada.press("/admin/digests/1/hold", period=found[1])
    assert f"The digest of {found[1]} waits" in ada.open("/admin/digests/1")
    ada.press("/admin/digests/1/release", period=found[1])
    assert f"The digest of {found[1]} waits" not in ada.open("/admin/digests/1")
    assert ada.press("/admin/digests/1/hold", period="soon").status_code == 404


def test_the_preview_is_of_the_chosen_reader_and_can_do_nothing(busy: Flask, ada: Browser) -> None:
    reader = db.session.query(Subscriber).filter_by(id=1).one()
    page = ada.open(f"/admin/digests/1/preview?address={reader.address}&width=phone")
    assert "<iframe" in page
    assert " sandbox " in page
    mail = ada.client.get(f"/admin/digests/1/preview/mail?address={reader.address}", base_url=SITE)
    policy = mail.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none';")
    assert "script" not in policy
    assert "<pre" in ada.open("/admin/digests/1/preview?view=text")
    assert "There is no reader" in ada.open("/admin/digests/1/preview?address=nobody@example.org")


def test_a_test_that_the_relay_does_not_take_says_so_and_leaves_nothing_behind(busy: Flask, ada: Browser) -> None:
    ada.open("/admin/digests/1/preview")
    answer = ada.press("/admin/digests/1/test", to="me@example.org", address="")
    assert answer.status_code == 409
    assert "The relay did not take the mail" in answer.get_data(as_text=True)
    assert ada.press("/admin/digests/1/test", to="nonsense", address="").status_code == 422
    assert db.session.query(Delivery).count() == 0


def test_a_cadence_is_changed_and_what_was_typed_is_kept_when_it_is_wrong(ada: Browser) -> None:
    ada.open("/admin/digests/1/settings")
    right: dict[str, str | list[str]] = {
        "name": "Every morning", "weekdays": ["1", "3"], "time": "06:45", "subject_rule": "text",
        "subject_text": "Good morning", "max_per_category": "5", "max_lateness_minutes": "120", "alarm_minutes": "20",
        "copies": "desk@gazette.example\neditor@gazette.example", "utm_source": "newsletter",
    }  # fmt: skip
    assert ada.press("/admin/digests/1/settings", **right).status_code == 303
    cadence = cadences.get(db.session(), 1)
    db.session.refresh(cadence)
    assert (cadence.name, cadence.weekdays, cadence.hour, cadence.minute) == ("Every morning", "13", 6, 45)
    assert (cadence.subject_text, cadence.copies[1]) == ("Good morning", "editor@gazette.example")
    assert cadence.utm == {"utm_source": "newsletter"}
    mistakes: list[dict[str, str | list[str]]] = [
        {"time": "late"},
        {"alarm_minutes": "many"},
        {"weekdays": []},
        {"subject_text": ""},
        {"copies": "nobody"},
    ]
    for mistake in mistakes:
        answer = ada.press("/admin/digests/1/settings", **(right | mistake | {"name": "Typed"}))
        assert answer.status_code == 422, mistake
        assert 'value="Typed"' in answer.get_data(as_text=True)


def test_a_cadence_is_added_and_archived(ada: Browser) -> None:
    ada.open("/admin/digests")
    answer = ada.press("/admin/digests", name="Weekend")
    assert answer.location == "/admin/digests/3/settings"
    assert cadences.by_slug(db.session(), "weekend").name == "Weekend"
    assert ada.press("/admin/digests", name="Weekend").status_code == 409
    assert ada.press("/admin/digests", name="!!!").status_code == 422
    ada.press("/admin/digests/3/archive")
    assert "Weekend" not in ada.open("/admin/digests").split("<main")[1].replace("“Weekend”", "")


def test_categories_are_added_changed_moved_and_archived(ada: Browser) -> None:
    ada.open("/admin/categories")
    for name in ("Business", "World"):
        ada.press("/admin/categories", name=name, description="", url="")
    ada.press("/admin/categories/2/move", act="up")
    assert [one.name for one in categories.listed(db.session())] == ["World", "Business"]
    ada.press("/admin/categories/2", name="The World", description="Far away", url="https://gazette.example/world")
    assert "Far away" in ada.open("/admin/categories")
    answer = ada.press("/admin/categories", name="", description="kept as typed", url="javascript:alert(1)")
    assert answer.status_code == 422
    page = answer.get_data(as_text=True)
    assert "kept as typed" in page
    assert "needs a name" in page
    assert "must begin with https" in page
    ada.press("/admin/categories/1/archive")
    assert "Offer again" in ada.open("/admin/categories")
    ada.press("/admin/categories/1/restore")
    assert "Offer again" not in ada.open("/admin/categories")


def test_the_publication_is_changed_whole_or_not_at_all(ada: Browser) -> None:
    ada.open("/admin/publication")
    answer = ada.press("/admin/publication", name="The Herald", contact_address="nonsense")
    assert answer.status_code == 422
    assert 'value="The Herald"' in answer.get_data(as_text=True)
    assert identity.load(db.session()).name == "The Gazette"
    assert ada.press("/admin/publication", name="The Herald", timezone="Asia/Tokyo").status_code == 303
    assert "Times in Asia/Tokyo" in ada.open("/admin/")


def test_whatever_is_typed_is_shown_as_text(busy: Flask, ada: Browser) -> None:
    evil = '"><script>alert(1)</script>'
    with transaction() as session:
        article = session.query(Article).first()
        assert article is not None
        article.title = evil
        alarms.sound(session, "x", evil, NOW)
    ada.open("/admin/categories")
    ada.press("/admin/categories", name=evil, description=evil, url="")
    for path in ("/admin/", "/admin/categories", "/admin/digests/1", "/admin/digests/1/preview?address=" + evil):
        assert "<script>alert" not in ada.open(path)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (120, "2 min"), (3599, "59 min"), (7260, "2 h 1 min")],
)
def test_durations_read_well(seconds: int, said: str) -> None:
    assert words.duration(seconds) == said


@pytest.mark.parametrize(("rate", "said"), [(0.25, "0.2 mails/s"), (9.96, "10.0 mails/s"), (1234.5, "1,234 mails/s")])
def test_rates_read_well(rate: float, said: str) -> None:
    assert words.rate(rate) == said
