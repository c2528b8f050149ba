"""Sources: adding, pausing, removing, and how each is doing."""

import pytest
from sqlalchemy import select

from newsletter.content import articles, fetching, sources
from newsletter.content.fetching import Answer
from newsletter.content.models import Source, Term
from newsletter.content.pacing import State
from newsletter.foundation.errors import ConflictError, FetchError, InvalidError, NotFoundError
from newsletter.foundation.services import services
from newsletter.operators import alarms
from newsletter.tasks.upkeep import watch_sources
from tests.content.desk import Desk, entry, feed

FOUND = sources.Found("https://site.example:8443/feed", feed(title="The  Daily\nNews"))


def add(desk: Desk, **more: object) -> Source:
    return sources.add(desk.session, FOUND, desk.now, vault=services().vault, **more)  # type: ignore[arg-type]


def fail(desk: Desk, source: Source, **more: object) -> None:
    claimed = fetching.claim_one(desk.session, source.id, desk.now)
    answer = Answer(**({"problem": "The server answered 500."} | more))  # type: ignore[arg-type]  # as the callers say
    fetching.record(desk.session, claimed, answer, desk.now)


def test_a_source_is_due_at_once_and_keeps_its_password_sealed(desk: Desk) -> None:
    source = add(desk, credentials=("reader", "s3cret"))
    assert (source.title, source.host, source.next_attempt_at) == ("The Daily News", "site.example:8443", desk.now)
    assert "s3cret" not in source.sealed_password
    (claimed,) = fetching.claim(desk.session, desk.now, 9)
    assert services().vault.open(claimed.sealed_password) == "s3cret"
    assert "s3cret" not in repr(claimed)


def test_a_source_is_added_once(desk: Desk) -> None:
    add(desk)
    with pytest.raises(ConflictError):
        add(desk)


def test_a_source_needs_a_category_that_is_there(desk: Desk) -> None:
    with pytest.raises(NotFoundError):
        add(desk, default_category_id=404)


def test_a_source_that_nobody_asked_yet_is_new(desk: Desk) -> None:
    view = sources.view(desk.session, add(desk, title="My name").id, desk.now)
    assert (view.title, view.health.state, view.next_attempt_at) == ("My name", State.NEW, desk.now)
    assert sources.listed(desk.session, desk.now) == [view]


def test_a_paused_source_is_not_asked(desk: Desk) -> None:
    source = add(desk)
    sources.pause(desk.session, source.id, desk.now)
    desk.tick(days=1)
    assert not fetching.anything_due(desk.session, desk.now)
    assert fetching.claim(desk.session, desk.now, 9) == []
    view = sources.view(desk.session, source.id, desk.now)
    assert (view.health.state, view.next_attempt_at) == (State.PAUSED, None)
    with pytest.raises(ConflictError):
        sources.retry(desk.session, source.id, desk.now)
    sources.resume(desk.session, source.id, desk.now)
    assert len(fetching.claim(desk.session, desk.now, 9)) == 1


def test_what_a_source_answers_after_it_was_paused_or_removed_is_dropped(desk: Desk) -> None:
    paused, removed = add(desk), desk.source()
    claims = {claim.source_id: claim for claim in fetching.claim(desk.session, desk.now, 9)}
    sources.pause(desk.session, paused.id, desk.now)
    sources.remove(desk.session, removed.id)
    for claim in claims.values():
        outcome = fetching.record(desk.session, claim, Answer(feed=feed(entry("x"))), desk.now)
        assert not outcome.recorded
    assert desk.views() == []


def test_a_source_that_is_gone_is_asked_when_the_operator_says_so(desk: Desk) -> None:
    source = add(desk)
    fail(desk, source, gone=True, status=410, problem="The server says that this feed is gone for good (410).")
    desk.tick(days=400)
    assert not fetching.anything_due(desk.session, desk.now)
    assert sources.view(desk.session, source.id, desk.now).health.state is State.GONE
    sources.retry(desk.session, source.id, desk.now)
    (claim,) = fetching.claim(desk.session, desk.now, 9)
    fetching.record(desk.session, claim, Answer(feed=feed()), desk.now)
    assert sources.view(desk.session, source.id, desk.now).health.state is State.WELL


def test_a_removed_source_leaves_its_articles_but_not_what_was_to_go_out(desk: Desk) -> None:
    source, other = desk.source(), desk.source(default="World")
    ahead = entry("ahead", "World", published_at=desk.at(days=1))
    desk.store(source, entry("out", "World"), ahead, entry("unsorted", "Sport"))
    desk.store(other, entry("ahead-too", published_at=desk.at(days=1)))
    sources.remove(desk.session, source.id)
    assert {(view.title.split()[-1], view.source) for view in desk.views()} == {("out", ""), ("ahead-too", "A feed")}
    assert desk.session.scalars(select(Term)).all() == []
    again = desk.source(default="World")
    desk.store(again, entry("out"))
    assert desk.states(again) == {"out": "repeat"}


def test_a_source_can_be_renamed(desk: Desk) -> None:
    source = add(desk)
    assert sources.rename(desk.session, source.id, " New \n name ").title == "New name"
    for name in ("", "  ", "x" * 301):
        with pytest.raises(InvalidError):
            sources.rename(desk.session, source.id, name)


def test_there_is_nothing_to_do_to_a_source_that_is_not_there(desk: Desk) -> None:
    for act in (sources.pause, sources.resume, sources.retry, sources.view, fetching.claim_one):
        with pytest.raises(NotFoundError):
            act(desk.session, 404, desk.now)
    with pytest.raises(NotFoundError):
        sources.remove(desk.session, 404)


@pytest.mark.parametrize("url", ["", "ftp://site.example", "https://", "https://a b", "https://u:p@site.example/"])
def test_what_is_no_web_address_has_no_host(url: str) -> None:
    with pytest.raises(FetchError):
        sources.host_of(url)


def test_operators_are_told_once_of_a_source_that_fails_for_days(desk: Desk) -> None:
    source, well, paused = add(desk), desk.source(), desk.source()
    for one in (source, well, paused):
        claimed = fetching.claim_one(desk.session, one.id, desk.now)
        fetching.record(desk.session, claimed, Answer(feed=feed()), desk.now)
    sources.pause(desk.session, paused.id, desk.now)
    desk.tick(hours=23)
    fail(desk, source)
    watch_sources(desk.session, desk.now)
    assert alarms.standing(desk.session) == []
    desk.tick(hours=1)
    for _ in range(2):
        watch_sources(desk.session, desk.now)
        desk.tick(hours=1)
        fail(desk, source)
    (alarm,) = alarms.standing(desk.session)
    assert "The Daily News" in alarm.text
    assert "The server answered 500." in alarm.text
    # An operator who has seen it is not told again, until it has worked in between.
    alarms.dismiss(desk.session, alarm.id, desk.now)
    desk.tick(days=2)
    watch_sources(desk.session, desk.now)
    assert alarms.standing(desk.session) == []
    claimed = fetching.claim_one(desk.session, source.id, desk.now)
    fetching.record(desk.session, claimed, Answer(feed=feed()), desk.now)
    desk.tick(days=2)
    fail(desk, source)
    watch_sources(desk.session, desk.now)
    assert len(alarms.standing(desk.session)) == 1
    claimed = fetching.claim_one(desk.session, source.id, desk.now)
    fetching.record(desk.session, claimed, Answer(feed=feed()), desk.now)
    watch_sources(desk.session, desk.now)
    assert alarms.standing(desk.session) == []


def test_operators_are_told_of_a_source_that_is_gone_at_once(desk: Desk) -> None:
    fail(desk, add(desk), gone=True)
    (trouble,) = sources.failing_for_days(desk.session, desk.now)
    assert "gone for good" in trouble.sentence


def test_articles_are_listed_page_by_page_newest_first(desk: Desk) -> None:
    source, other = desk.source(default="World"), desk.source(default="Business")
    desk.store(source, *[entry(f"a{number}", "Sport") for number in range(5)])
    desk.store(other, entry("b"))
    first = articles.recent(desk.session, desk.now, limit=4)
    rest = articles.recent(desk.session, desk.now, limit=4, before_id=first[-1].id)
    assert [view.title.split()[-1] for view in first + rest] == ["b", "a0", "a1", "a2", "a3", "a4"]
    assert (first[0].categories, first[1].categories, first[1].terms) == (("Business",), ("World",), ("Sport",))
    assert [view.source_id for view in articles.recent(desk.session, desk.now, source_id=other.id)] == [other.id]


def test_every_article_says_what_becomes_of_it(desk: Desk) -> None:
    source = desk.source(default="World")
    desk.store(source, *[entry(key) for key in ("sent", "held", "withdrawn", "coming")])
    for key in ("sent", "held", "withdrawn"):
        setattr(desk.article(key), {"sent": "digested_at"}.get(key, f"{key}_at"), desk.now)
    assert desk.states() == {key: key for key in ("sent", "held", "withdrawn", "coming")}
