"""Sources on the command line."""

import pytest
from flask import Flask

from tests.admin.feeds import FEED, SITE, Web, rss
from tests.cli.conftest import Command


@pytest.fixture
def web(place: Flask) -> Web:
    """A web with one site and its feed."""
    return Web().install(place)


def test_a_source_is_added_by_the_sites_address_and_fetched(web: Web, newsletter_command: Command) -> None:
    newsletter_command.run("categories", "add", "Business")
    added = newsletter_command.json("sources", "add", SITE, "--category", "business", "--backlog", "new")
    assert (added["url"], added["title"], added["state"]) == (FEED, "Wire", "well")
    assert added["default_category"] == "Business"
    (listed,) = newsletter_command.json("sources", "list")
    assert listed == added | {"health": listed["health"]}
    assert "already" in newsletter_command.run("sources", "add", FEED, status=1).stderr


def test_fetching_reports_each_source(web: Web, newsletter_command: Command) -> None:
    newsletter_command.run("sources", "add", FEED, "--backlog", "seen")
    web.documents[FEED] = ("application/rss+xml", rss(("Old news", "Business"), ("Fresh news", "World")))
    (fetched,) = newsletter_command.json("sources", "fetch")
    assert (fetched["new"], fetched["problem"]) == (1, "")
    web.documents.clear()
    (failed,) = newsletter_command.json("sources", "fetch", "1")
    assert "404" in failed["problem"]
    assert newsletter_command.json("sources", "list")[0]["state"] == "ailing"
    assert "There is no such source" in newsletter_command.run("sources", "fetch", "9", status=1).stderr


def test_words_and_the_backlog_are_decided(web: Web, newsletter_command: Command) -> None:
    newsletter_command.run("categories", "add", "World")
    newsletter_command.run("sources", "add", FEED)
    (word,) = newsletter_command.json("sources", "terms")
    assert (word["name"], word["category"], word["ignored"]) == ("Business", "", False)
    newsletter_command.run("sources", "map", str(word["id"]), "world")
    assert newsletter_command.json("sources", "terms")[0]["category"] == "World"
    assert newsletter_command.json("sources", "backlog", "1", "new") == {"released": 1}
    newsletter_command.run("sources", "map", str(word["id"]))
    assert newsletter_command.json("sources", "terms")[0]["ignored"] is True


def test_a_source_is_paused_and_resumed(web: Web, newsletter_command: Command) -> None:
    newsletter_command.run("sources", "add", FEED, "--no-fetch")
    newsletter_command.run("sources", "pause", "1")
    assert newsletter_command.json("sources", "list")[0]["state"] == "paused"
    assert newsletter_command.json("sources", "fetch") == []
    newsletter_command.run("sources", "resume", "1")
    assert newsletter_command.json("sources", "list")[0]["state"] == "new"
