"""The parser's processes: what hostile documents can do to them, and cannot do to us. Starts child processes."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from newsletter.content import parser as parser_module
from newsletter.content.parsed import Candidate, WebPageError
from newsletter.content.parser import MAX_DOCUMENT, Parser
from newsletter.content.parser_process import answer
from newsletter.foundation.errors import ParseError

FEED = b"<rss version='2.0'><channel><title>News</title><item><title>A</title><guid>1</guid></item></channel></rss>"
HEAD = b"<rss version='2.0'><channel>"
ITEM = b"<item><title>x</title><description>"
LIMIT = 200 * 1024
"""Kilobytes of memory that a child may ever have used."""


@pytest.fixture(scope="module")
def parser() -> Iterator[Parser]:
    with Parser(size=1) as made:
        yield made


def child(parser: Parser) -> "parser_module._Child":
    """Return the one child, begun if need be."""
    parser.parse(FEED)
    found = parser._slots.queue[-1]
    assert found is not None
    return found


def peak_memory(of: parser_module._Child) -> int:
    """Return the most that a child has used, in kilobytes; 0 when it is dead."""
    try:
        status = Path(f"/proc/{of.process.pid}/status").read_text()
    except FileNotFoundError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)


def test_a_feed_comes_back_as_values(parser: Parser) -> None:
    feed = parser.parse(FEED, "https://news.example/feed", "text/xml")
    assert (feed.title, [entry.identity for entry in feed.entries]) == ("News", ["1"])


def test_a_refusal_comes_back_as_the_same_error(parser: Parser) -> None:
    with pytest.raises(WebPageError):
        parser.parse(b"<html>")
    with pytest.raises(ParseError, match="empty"):
        parser.parse(b"")


def test_feeds_of_a_page_are_found_in_the_child_too(parser: Parser) -> None:
    page = b'<html><link rel="alternate" type="application/rss+xml" href="/feed" title="News">'
    assert parser.discover(page, "https://news.example/") == [Candidate("https://news.example/feed", "News")]


def test_one_child_serves_many_documents(parser: Parser) -> None:
    before = child(parser)
    for _ in range(5):
        parser.parse(FEED)
    assert child(parser) is before


def test_a_child_is_replaced_when_it_has_served_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser_module, "SERVES", 1)
    with Parser(size=1) as own:
        own.parse(FEED)
        assert own._slots.queue == [None]


def test_a_dead_child_is_replaced(parser: Parser) -> None:
    before = child(parser)
    before.process.kill()
    before.process.wait()
    assert parser.parse(FEED).title == "News"
    assert child(parser) is not before


def test_a_child_that_dies_over_a_document_costs_that_document_only(monkeypatch: pytest.MonkeyPatch) -> None:
    with Parser(size=1) as own:
        victim = child(own)
        monkeypatch.setattr(type(victim), "is_usable", lambda self: True)
        victim.process.kill()
        victim.process.wait()
        with pytest.raises(ParseError, match="breaks the parser"):
            own.parse(FEED)
        assert own.parse(FEED).title == "News"


def test_a_child_that_hangs_is_given_up() -> None:
    with Parser(size=1, wait_seconds=0.5) as own:
        hanging = parser_module._Child()
        os.kill(hanging.process.pid, signal.SIGSTOP)  # it lives, and answers nothing
        own._slots.get()
        own._slots.put(hanging)
        with pytest.raises(ParseError, match="took longer than"):
            own.parse(FEED)
        assert hanging.process.poll() is not None


def test_a_document_that_computes_for_ever_is_ended_by_the_kernel() -> None:
    program = "import resource, sys; resource.setrlimit(resource.RLIMIT_CPU, (1, 2))\nwhile True: pass"
    with Parser(size=1) as own:
        spinning = parser_module._Child()
        spinning.end()
        spinning.process = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        own._slots.get()
        own._slots.put(spinning)
        with pytest.raises(ParseError, match="took longer than 10 s"):
            own.parse(FEED)


def test_a_fork_does_not_share_its_parents_children(parser: Parser, monkeypatch: pytest.MonkeyPatch) -> None:
    before = child(parser)
    monkeypatch.setattr(before, "_parent", os.getpid() + 1)
    assert not before.is_usable()
    before.end()
    assert before.process.poll() is None  # it is the other process's to end
    monkeypatch.undo()
    before.process.kill()
    before.process.wait()


def test_children_see_no_environment(parser: Parser) -> None:
    environment = Path(f"/proc/{child(parser).process.pid}/environ").read_bytes()
    assert [line.split(b"=")[0] for line in environment.split(b"\0") if line] == [b"PYTHONPATH"]


def test_a_document_beyond_the_limit_is_not_even_sent(parser: Parser) -> None:
    with pytest.raises(ParseError, match="larger than 5 MB"):
        parser.parse(b"x" * (MAX_DOCUMENT + 1))


def test_many_threads_may_parse_at_once() -> None:
    titles: list[str] = []

    def work(number: int) -> None:
        for turn in range(3):
            name = f"{number}-{turn}"
            titles.append(own.parse(FEED.replace(b"News", name.encode())).title + "=" + name)

    with Parser(size=2) as own:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(titles) == 18
    assert all(len(set(title.split("="))) == 1 for title in titles)


def test_whatever_a_library_raises_costs_one_document(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*given: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("newsletter.content.parser_process.parse_document", explode)
    request = {"act": "parse", "url": "", "content_type": None}
    assert answer(request, b"x") == {"refused": "The document is so damaged that it cannot be read."}


HOSTILE = {
    "empty items": HEAD + b"<item/>" * 700_000,
    "as many as allowed": HEAD + b"<item/>" * 9_000,
    "deep XML": HEAD + b"<a>" * 20_000,
    "deep HTML": HEAD + ITEM + b"&lt;div>" * 50_000 + b"</description></item>",
    "misnested HTML": HEAD + ITEM + b"&lt;a>&lt;b>&lt;i>&lt;p>" * 3000 + b"</description></item>",
    "attributes": HEAD + b"<item " + b" ".join(b'a%d="x"' % number for number in range(5_000)) + b"/>",
    "namespaces": b"<rss " + b" ".join(b'xmlns:a%d="x%d"' % (number, number) for number in range(5_000)) + b"/>",
    "entity in UTF-7": b'<?xml version="1.0" encoding="utf-7"?>' + (
        "<!DOCTYPE r [<!ENTITY a '" + "a" * 5000 + "'>]><rss version='2.0'><channel><title>" + "&a;" * 99_999
    ).encode("utf-7"),
    "one long title": HEAD + b"<title>" + b"x" * 4_900_000,
    "comments": HEAD + b"<!--" * 900_000,
    "CDATA": HEAD + b"<![CDATA[" * 400_000,
    "deep JSON": b'{"version":"https://jsonfeed.org/version/1","items":' + b"[" * 2_000_000,
    "wide JSON": b'{"version":"https://jsonfeed.org/version/1","items":[' + b"{}," * 600_000 + b"{}]}",
    "greedy JSON": '{"version":"😀","items":['.encode() + b"[[]]," * 990_000 + b"[]]}",
    "noise": os.urandom(1_000_000),
    "zeros": bytes(4_000_000),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_documents_stay_within_memory_and_the_next_feed_is_read(
    parser: Parser, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = child(parser)
    peaks: list[int] = []
    end = type(used).end

    def weigh_and_end(self: parser_module._Child) -> None:
        peaks.append(peak_memory(self))
        end(self)

    monkeypatch.setattr(type(used), "end", weigh_and_end)
    with contextlib.suppress(ParseError):
        parser.parse(HOSTILE[name], "https://news.example/")
    assert parser.parse(FEED).title == "News"
    assert max([*peaks, peak_memory(child(parser))]) < LIMIT
