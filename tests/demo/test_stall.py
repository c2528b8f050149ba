"""Feeds that were named on the command line: the categories they suggest, and the site that serves them."""

from pathlib import Path

import pytest

from newsletter.demo.stall import Stall, hosts, named


def test_the_commonest_terms_become_categories_and_the_default_is_last() -> None:
    articles = [["Tech", "tech", "Wide World"], ["Tech"], ["Wide World"], ["Once"], ["news"], ["News"], ["…"], ["…"]]
    assert named(articles) == ["Tech", "Wide World", "News"]


def test_at_most_five_terms_and_no_long_ones_become_categories() -> None:
    terms = [[f"Term {number}"] for number in range(9)] * 2
    assert len(named(terms)) == 6
    assert named([["x" * 41]] * 3) == ["News"]
    assert named([]) == ["News"]


def test_terms_that_differ_in_spelling_only_are_one_category() -> None:
    assert named([["Économie"], ["Économie"], ["economie"], ["economie"]]) == ["Économie", "News"]


def test_named_hosts_may_be_private() -> None:
    assert hosts(["http://10.0.0.1:81/feed", "https://user@intra.example/x", "feed.xml"]) == [
        "10.0.0.1:81",
        "intra.example",
    ]


def test_files_are_served_and_addresses_left_as_they_are(tmp_path: Path) -> None:
    atom, data = tmp_path / "a feed.xml", tmp_path / "feed.json"
    atom.write_bytes(b'<?xml version="1.0" encoding="iso-8859-1"?><feed/>')
    data.write_bytes(b"{}")
    stall = Stall("http://127.0.0.1:8090", [str(atom), "https://example.org/feed", str(data)])
    assert stall.feeds == [
        "http://127.0.0.1:8090/feeds/1/a%20feed.xml",
        "https://example.org/feed",
        "http://127.0.0.1:8090/feeds/3/feed.json",
    ]
    site = stall.app("<form>the form</form>", "http://127.0.0.1:8000/subscribe").test_client()
    answer = site.get("/feeds/1/a%20feed.xml")
    assert (answer.data, answer.content_type) == (atom.read_bytes(), "application/xml")
    assert site.get("/feeds/3/feed.json").content_type == "application/feed+json"
    assert site.get("/feeds/2/feed").status_code == 404
    assert site.get("/feeds/9/feed").status_code == 404
    front = site.get("/").text
    assert "<form>the form</form>" in front
    assert "http://127.0.0.1:8000/subscribe" in front
    assert "Privacy notice" in site.get("/privacy").text


@pytest.mark.parametrize("place", ["feed.xml", "/var/feed.xml", "ftp://example.org/feed"])
def test_only_web_addresses_are_addresses(place: str) -> None:
    assert hosts([place]) == []
