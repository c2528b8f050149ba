"""What is out, what waits, and the dates they get."""

from datetime import UTC, datetime, timedelta

import pytest

from newsletter.sample.articles import Draft
from newsletter.sample.edition import Edition

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
DRAFTS = [Draft(slug=f"a{n}", title=f"A {n}", categories=("World",), paragraphs=("One.",)) for n in range(5)]


def test_the_backlog_is_dated_backwards_from_the_opening() -> None:
    edition = Edition(DRAFTS, opened_at=NOW, held_back=2)
    out = edition.articles()
    assert [article.slug for article in out] == ["a2", "a1", "a0"]
    assert all(article.published_at < NOW for article in out)
    assert out == sorted(out, key=lambda article: article.published_at, reverse=True)
    assert edition.waiting == 2


def test_released_articles_are_new_now_and_never_in_the_future() -> None:
    edition = Edition(DRAFTS, opened_at=NOW, held_back=3)
    later = NOW + timedelta(hours=1)
    fresh = edition.release(2, later)
    assert [article.slug for article in fresh] == ["a3", "a2"]
    assert [article.published_at for article in fresh] == [later, later - timedelta(seconds=1)]
    assert [article.slug for article in edition.articles()] == ["a3", "a2", "a1", "a0"]
    assert edition.changed_at == later
    assert edition.waiting == 1


def test_releasing_more_than_waits_releases_what_waits() -> None:
    edition = Edition(DRAFTS, opened_at=NOW, held_back=1)
    assert len(edition.release(9, NOW)) == 1
    assert edition.waiting == 0


def test_releasing_when_nothing_waits_changes_nothing() -> None:
    edition = Edition(DRAFTS, opened_at=NOW, held_back=0)
    assert edition.release(1, NOW + timedelta(hours=1)) == []
    assert edition.changed_at == NOW


@pytest.mark.parametrize("held_back", [5, 6])
def test_everything_may_be_held_back(held_back: int) -> None:
    edition = Edition(DRAFTS, opened_at=NOW, held_back=held_back)
    assert edition.articles() == []
    assert edition.waiting == 5


def test_only_the_asked_category_is_returned() -> None:
    other = Draft(slug="b", title="B", categories=("Business", "World"), paragraphs=("One.",))
    edition = Edition([*DRAFTS, other], opened_at=NOW, held_back=0)
    assert [article.slug for article in edition.articles("Business")] == ["b"]
    assert len(edition.articles("World")) == 6
