"""Fetching from a scripted server on this machine, with the real fetcher, parser and tasks, on both databases."""

import contextlib
import dataclasses
import datetime
import gzip
import queue
import threading
import time
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from newsletter.content import categories, fetching, sources, storing
from newsletter.content.fetching import Answer, Claim
from newsletter.content.models import Article, Backlog, Host, Source
from newsletter.content.pacing import State
from newsletter.content.parsed import ParsedFeed
from newsletter.content.parser import shared_parser
from newsletter.foundation.clock import utc_now
from newsletter.foundation.db import db, transaction
from newsletter.foundation.errors import NotFoundError
from newsletter.foundation.services import services
from newsletter.tasks import content, digests
from tests.conftest import NOW
from tests.content.desk import entry, feed
from tests.content.press import Page, Press, fetcher, rss

MINUTE = datetime.timedelta(minutes=1)


@pytest.fixture
def press() -> Iterator[Press]:
    made = Press()
    yield made
    made.close()


@pytest.fixture
def other_press() -> Iterator[Press]:
    made = Press()
    yield made
    made.close()


@pytest.fixture
def newsroom(app_on_each: Flask) -> Flask:
    """An application that may fetch from this machine and loses patience after a second."""
    tools = services()
    dataclasses.replace(tools, fetcher=fetcher(timeout=1.0, total_deadline=2.0)).install(app_on_each)
    with transaction() as session:
        categories.add(session, "World")
    return app_on_each


def add(url: str, credentials: tuple[str, str] | None = None) -> int:
    """Add a source without looking at it first."""
    found = sources.Found(url, shared_parser().parse(rss()))
    with transaction() as session:
        return sources.add(
            session, found, utc_now(), vault=services().vault, backlog=Backlog.NEW, credentials=credentials
        ).id


def again(source_id: int) -> None:
    with transaction() as session:
        sources.retry(session, source_id, utc_now())


def source(source_id: int) -> Source:
    with transaction() as session:
        return session.scalars(
            select(Source).where(Source.id == source_id).execution_options(populate_existing=True)
        ).one()


def titles() -> set[str]:
    with transaction() as session:
        return {title.split()[-1] for title in session.scalars(select(Article.title))}


def wait(one: Source) -> datetime.timedelta:
    assert one.last_attempt_at is not None
    return one.next_attempt_at - one.last_attempt_at


def test_a_feed_becomes_numbered_articles(newsroom: Flask, press: Press) -> None:
    key = add(press.print("/feed", rss("b", "a")))
    content.fetch_due()
    content.fetch_due()
    assert len(press.asked) == 1
    one = source(key)
    assert (one.failures, one.last_error, one.kind, wait(one)) == (0, "", "rss", 15 * MINUTE)
    with transaction() as session:
        query = select(Article.title).order_by(Article.number)
        assert list(session.scalars(query)) == ["Title of a", "Title of b"]


def test_what_has_not_changed_is_not_sent_again(newsroom: Flask, press: Press) -> None:
    validators = {"ETag": 'W/"odd, \xe9"', "Last-Modified": "Sun, 22 Nov 2026 08:30:00 GMT"}
    key = add(
        press.print(
            "/feed",
            Page(rss("a"), headers=validators),
            Page(status=304, headers={"ETag": '"new"', "Cache-Control": "max-age=3600"}),
            rss("a", "b"),
        )
    )
    for _ in range(3):
        content.fetch_now(key)
    asked = [(headers.get("if-none-match"), headers.get("if-modified-since")) for _, headers in press.asked]
    assert asked == [
        (None, None),
        (validators["ETag"], validators["Last-Modified"]),
        ('"new"', validators["Last-Modified"]),
    ]
    assert (source(key).etag, source(key).last_modified) == (None, None)
    assert titles() == {"a", "b"}


def test_a_source_is_left_alone_while_its_answer_is_fresh(newsroom: Flask, press: Press) -> None:
    key = add(press.print("/feed", Page(rss("a"), headers={"Cache-Control": "public, max-age=7200"})))
    content.fetch_due()
    assert wait(source(key)) == 120 * MINUTE


def test_a_permanent_redirect_is_taken_over_after_three_sightings(newsroom: Flask, press: Press) -> None:
    old = press.print("/old", Page(status=301, headers={"Location": "/new"}))
    new = press.print("/new", Page(rss("a"), headers={"ETag": '"1"'}), Page(status=304))
    key = add(old)
    for expected in (old, old, new):
        content.fetch_now(key)
        assert source(key).url == expected
    content.fetch_now(key)
    assert [path for path, _ in press.asked] == ["/old", "/new"] * 3 + ["/new"]
    assert (source(key).moved_url, source(key).moved_seen) == (None, 0)


def test_a_redirect_that_wavers_is_not_taken_over(newsroom: Flask, press: Press) -> None:
    to = [Page(status=308, headers={"Location": f"/{place}"}) for place in ("x", "x", "y", "x", "x")]
    temporary = Page(status=302, headers={"Location": "/x"})
    old = press.print("/old", *to, temporary, *to[:2], Page(rss("a")))
    for place in ("/x", "/y"):
        press.print(place, rss("a"))
    key = add(old)
    for _ in range(9):
        content.fetch_now(key)
    assert source(key).url == old


def test_a_redirect_to_another_source_is_not_taken_over(newsroom: Flask, press: Press) -> None:
    new = press.print("/new", rss("a"))
    old = press.print("/old", Page(status=301, headers={"Location": "/new"}))
    first, second = add(new), add(old)
    for _ in range(4):
        content.fetch_now(second)
    assert (source(first).url, source(second).url, source(second).failures) == (new, old, 0)


def test_a_password_stays_with_its_host(newsroom: Flask, press: Press, other_press: Press) -> None:
    new = other_press.print("/new", rss("a"))
    old = press.print("/old", Page(status=301, headers={"Location": new}))
    key = add(old, ("reader", "s3cret"))
    for _ in range(4):
        content.fetch_now(key)
    assert all("authorization" in headers for _, headers in press.asked)
    assert not any("authorization" in headers for _, headers in other_press.asked)
    assert source(key).url == old
    within = press.print("/within", Page(status=301, headers={"Location": "/target"}))
    target = press.print("/target", rss("a"))
    key = add(within, ("reader", "s3cret"))
    for _ in range(3):
        content.fetch_now(key)
    assert source(key).url == target


def test_a_password_whose_key_is_lost_is_a_problem_in_plain_words(newsroom: Flask, press: Press) -> None:
    key = add(press.print("/feed", rss("a")), ("reader", "s3cret"))
    with transaction() as session:
        sources.get(session, key).sealed_password = "garbage"
    assert "key is missing" in content.fetch_now(key).problem
    assert press.asked == []


def test_what_is_gone_is_asked_no_more(newsroom: Flask, press: Press) -> None:
    key = add(press.print("/feed", Page(status=410), rss("a")))
    content.fetch_due()
    assert source(key).gone_at is not None
    with transaction() as session:
        assert not fetching.anything_due(session, utc_now() + 10_000 * MINUTE)
    again(key)
    time.sleep(0.3)  # the host rests a moment
    content.fetch_due()
    assert source(key).gone_at is None
    assert titles() == {"a"}
    with transaction() as session:
        sources.get(session, key).gone_at = utc_now()
    content.fetch_now(key)
    assert source(key).gone_at is None


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_wants_peace_is_left_in_peace_with_all_its_sources(
    newsroom: Flask, press: Press, status: int
) -> None:
    key = add(press.print("/busy", Page(status=status, headers={"Retry-After": "5000"})))
    outcome = content.fetch_now(key)
    assert str(status) in outcome.problem
    assert wait(source(key)) == datetime.timedelta(seconds=5000)
    add(press.print("/other", rss("a")))
    content.fetch_due()
    assert len(press.asked) == 1
    with transaction() as session:
        assert fetching.claim(session, utc_now() + 59 * MINUTE, 9) == []
        (claim,) = fetching.claim(session, utc_now() + 61 * MINUTE, 9)
        assert claim.url == press.url("/other")


def test_failures_in_a_row_are_further_and_further_apart_until_it_works(newsroom: Flask, press: Press) -> None:
    broken = Page(status=500, body=b"oops")
    key = add(press.print("/feed", broken, broken, broken, rss("a")))
    waits = []
    for _ in range(4):
        content.fetch_now(key)
        waits.append(wait(source(key)) / MINUTE)
    assert waits == [15, 30, 60, 15]
    assert (source(key).failures, source(key).last_error) == (0, "")


BAD = [
    (Page(status=404), "404"),
    (Page(status=401), "401"),
    (Page(status=500), "500"),
    (Page(b""), "empty"),
    (Page(b"<html><body>Sorry</body></html>"), "web page"),
    (Page(b"\x00\xff garbage \x80" * 50), "no feed"),
    (Page(b"<rss><channel><item>" * 20_000), "more than 10000 entries"),
    (Page(b"<!DOCTYPE r [<!ENTITY a 'b'>]><rss/>"), "entities"),
    (Page(b"\x1f\x8b broken", headers={"Content-Encoding": "gzip"}), "."),
    (Page(gzip.compress(b" " * 50_000_000), headers={"Content-Encoding": "gzip"}), "suspiciously"),
    (Page(rss("a"), headers={"Content-Length": "999999"}), "."),
    (Page(status=302, headers={"Location": "http://10.0.0.1/"}), "private network"),
    (Page(status=302, headers={"Location": "/12"}), "redirected"),
    (Page(raw=b"\x16\x03\x01 this is no HTTP\r\n\r\n"), "HTTP"),
    (Page(rss("a"), before=lambda: time.sleep(1.5)), "silent"),
]


def test_every_failure_is_told_in_plain_words_and_hurts_no_other_source(
    newsroom: Flask, press: Press, other_press: Press
) -> None:
    bad = {add(press.print(f"/{number}", page)): words for number, (page, words) in enumerate(BAD)}
    good = add(other_press.print("/feed", rss("good")))
    content.fetch_due()
    for key, words in bad.items():
        one = source(key)
        assert words in one.last_error
        assert one.last_error.endswith(".")
        assert (one.failures, one.last_success_at, one.etag, one.last_modified) == (1, None, None, None)
    assert source(good).failures == 0
    assert titles() == {"good"}


def test_a_closed_port_is_a_problem_in_plain_words(newsroom: Flask, press: Press) -> None:
    key = add(press.url())
    press.close()
    assert content.fetch_now(key).problem
    with transaction() as session:
        assert sources.view(session, key, utc_now()).health.state is State.AILING


def test_a_slow_source_keeps_no_other_waiting(newsroom: Flask, press: Press, other_press: Press) -> None:
    def until_the_others_are_stored() -> None:
        with newsroom.app_context():
            for _ in range(100):
                if db.session().scalars(select(Article.id)).all() and late.is_set():
                    return
                db.session().rollback()
                time.sleep(0.05)

    def add_one_that_comes_later() -> None:
        with newsroom.app_context():
            add(other_press.print("/later", Page(rss("later"), before=late.set)))

    late = threading.Event()
    dataclasses.replace(services(), fetcher=fetcher()).install(newsroom)
    slow = add(press.print("/slow", Page(rss("slow"), before=until_the_others_are_stored)))
    add(other_press.print("/fast", Page(rss("fast"), before=add_one_that_comes_later)))
    content.fetch_due()
    assert late.is_set(), "what became due while the slow one was asked had to wait for it"
    assert source(slow).failures == 0
    assert titles() == {"fast", "later", "slow"}


def test_one_host_is_never_asked_twice_at_once_by_whatever_workers(newsroom: Flask, press: Press) -> None:
    def work() -> None:
        with newsroom.app_context():
            content.fetch_due()

    keys = [add(press.print(f"/{n}", Page(rss(f"of-{n}"), before=lambda: time.sleep(0.05)))) for n in range(6)]
    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    content.fetch_due()
    assert press.most_at_once == 1
    assert sorted(path for path, _ in press.asked) == [f"/{n}" for n in range(6)]
    assert all(source(key).failures == 0 for key in keys)
    assert titles() == {f"of-{n}" for n in range(6)}


def test_one_story_from_two_workers_at_once_is_numbered_once(newsroom: Flask, press: Press, other_press: Press) -> None:
    def work(key: int) -> None:
        with newsroom.app_context():
            outcomes.append(content.fetch_now(key))

    together = threading.Barrier(2, timeout=10)

    def meet() -> None:
        together.wait()

    dataclasses.replace(services(), fetcher=fetcher()).install(newsroom)
    stories = [f"story-{number}" for number in range(30)]
    outcomes: list[fetching.Outcome] = []
    pages = [(press, stories), (other_press, stories[::-1])]
    keys = [add(one.print("/feed", Page(rss(*order), before=meet))) for one, order in pages]
    workers = [threading.Thread(target=work, args=(key,)) for key in keys]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [(outcome.problem, outcome.stored.new) for outcome in outcomes] == [("", 30)] * 2
    with transaction() as session:
        numbered = session.execute(select(Article.number, Article.canonical_hash).where(Article.number.is_not(None)))
        rows = numbered.all()
    assert len(rows) == len({story for _, story in rows}) == 30
    assert {number for number, _ in rows} == set(range(1, 31))


def test_who_claims_second_waits_and_finds_the_host_taken(newsroom: Flask, press: Press) -> None:
    def second() -> None:
        with newsroom.app_context(), transaction() as session:
            tries.put(None)
            got.extend(fetching.claim(session, utc_now(), 9))

    _, later = add(press.url("/earlier")), add(press.url("/later"))
    got: list[Claim] = []
    tries: queue.SimpleQueue[None] = queue.SimpleQueue()
    worker = threading.Thread(target=second)
    with transaction() as session:
        fetching.claim_one(session, later, utc_now())
        worker.start()
        with contextlib.suppress(queue.Empty):  # SQLite lets the second not even begin
            tries.get(timeout=1)
        time.sleep(0.2)
    worker.join()
    assert got == []


def test_many_hosts_are_asked_at_once(newsroom: Flask) -> None:
    presses = [Press() for _ in range(4)]
    together = threading.Barrier(4, timeout=10)

    def meet() -> None:
        together.wait()

    dataclasses.replace(services(), fetcher=fetcher()).install(newsroom)
    for number, one in enumerate(presses):
        add(one.print("/feed", Page(rss(f"of-{number}"), before=meet)))
    content.fetch_due()
    for one in presses:
        one.close()
    assert titles() == {f"of-{number}" for number in range(4)}


def test_a_claim_is_nobody_elses_until_its_lease_is_over(newsroom: Flask, press: Press) -> None:
    key = add(press.print("/feed", rss("a")))
    now = utc_now()
    with transaction() as session:
        (dead,) = fetching.claim(session, now, 9)
    with transaction() as session:
        assert fetching.claim(session, now + fetching.LEASE - datetime.timedelta(seconds=1), 9) == []
    with transaction() as session:
        (living,) = fetching.claim(session, now + fetching.LEASE, 9)
    answer = Answer(feed=shared_parser().parse(rss("late")))
    with transaction() as session:
        assert not fetching.record(session, dead, answer, now + fetching.LEASE).recorded
        assert session.scalars(select(Host.free_at)).one() == living.until
    with transaction() as session:
        assert fetching.record(session, living, answer, now + fetching.LEASE).stored.new == 1
    assert source(key).failures == 0


def test_those_that_failed_come_after_those_that_work(newsroom: Flask, press: Press) -> None:
    failed, well = add(press.url("/failed")), add(press.url("/well"))
    with transaction() as session:
        sources.get(session, failed).failures = 1
        (claim,) = fetching.claim(session, utc_now(), 9)
    assert claim.source_id == well


def test_no_host_crowds_out_the_others(newsroom: Flask, press: Press, other_press: Press) -> None:
    for number in range(20):
        add(press.url(f"/{number}"))
    add(other_press.url())
    with transaction() as session:
        claims = fetching.claim(session, utc_now(), 8)
    assert {claim.host for claim in claims} == {f"127.0.0.1:{press.port}", f"127.0.0.1:{other_press.port}"}


def test_articles_that_cannot_be_stored_end_one_fetch_not_the_round(
    newsroom: Flask, press: Press, other_press: Press, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = storing.store

    def breaks(session: Session, one: Source, parsed: ParsedFeed, now: datetime.datetime) -> storing.Stored:
        stored = store(session, one, parsed, now)
        return stored if one.id == good else session.execute(text("SELECT nonsense")).scalar_one()

    bad, good = add(press.print("/feed", rss("bad"))), add(other_press.print("/feed", rss("good")))
    monkeypatch.setattr(storing, "store", breaks)
    content.fetch_due()
    assert titles() == {"good"}
    assert "log says more" in source(bad).last_error
    assert source(bad).next_attempt_at > utc_now()
    assert source(good).failures == 0


def test_a_fetcher_that_breaks_is_a_problem_and_no_crash() -> None:
    class Broken:
        def fetch(self, url: str, **_: object) -> None:
            raise ZeroDivisionError

    claim = Claim(1, "https://site.example/", "site.example", NOW)
    answer = fetching.ask(claim, Broken(), shared_parser(), None)  # type: ignore[arg-type]  # broken on purpose
    assert "log says more" in answer.problem


def test_nothing_is_open_while_a_server_takes_its_time(newsroom: Flask, press: Press) -> None:
    def another_writes() -> None:
        with newsroom.app_context(), transaction() as session:
            categories.add(session, "Written meanwhile")

    key = add(press.print("/feed", Page(rss("a"), before=another_writes)))
    assert content.fetch_now(key).problem == ""
    content.fetch_due()


def test_the_tick_numbers_what_waited_for_its_date(newsroom: Flask, press: Press) -> None:
    key, earlier = add(press.url()), utc_now() - 2 * MINUTE
    document = feed(entry("ahead", "World", published_at=earlier + MINUTE))
    with transaction() as session:
        storing.store(session, sources.locked(session, key), document, earlier)
        assert session.scalars(select(Article.number)).one() is None
    digests.tick()
    with transaction() as session:
        assert session.scalars(select(Article.number)).one() == 1


def test_a_source_that_is_not_there_cannot_be_fetched(newsroom: Flask) -> None:
    with pytest.raises(NotFoundError):
        content.fetch_now(404)


def test_looking_finds_the_feed_of_a_site(newsroom: Flask, press: Press) -> None:
    press.print("/", Page(b'<html><link rel="alternate" type="application/rss+xml" href="/moved">'))
    press.print("/moved", Page(status=301, headers={"Location": "/feed"}))
    press.print("/feed", rss("a"))
    found = sources.look(press.url("/"), services().fetcher, shared_parser(), ("reader", "s3cret"))
    assert (found.url, found.feed.title) == (press.url("/feed"), "News")
    assert all("authorization" in headers for _, headers in press.asked)
