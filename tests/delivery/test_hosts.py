"""Which mail hosts take a domain's mail: the grouping, and the question to a DNS server that may answer anything."""

import contextlib
import datetime
import socket
import threading
from collections.abc import Callable, Iterator

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset
import pytest
from flask import Flask
from sqlalchemy import select

from newsletter.delivery import hosts, mail_exchangers
from newsletter.delivery.models import MailHost
from newsletter.foundation.db import db, transaction
from newsletter.foundation.ports import LOOPBACK
from newsletter.tasks import upkeep
from tests.conftest import NOW

HOUR = datetime.timedelta(hours=1)
DAY = datetime.timedelta(days=1)
Answer = Callable[[dns.message.Message], bytes | None]


@contextlib.contextmanager
def dns_server(answer: Answer) -> Iterator[dns.asyncresolver.Resolver]:
    """Serve DNS over UDP; give a resolver that asks nobody else."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((LOOPBACK, 0))
        sock.settimeout(0.05)
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                with contextlib.suppress(TimeoutError, ConnectionError):
                    asked, peer = sock.recvfrom(4096)
                    if reply := answer(dns.message.from_wire(asked)):
                        sock.sendto(reply, peer)

        thread = threading.Thread(target=serve)
        thread.start()
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = [LOOPBACK]
        resolver.port = sock.getsockname()[1]
        resolver.timeout = 0.2
        try:
            yield resolver
        finally:
            ended.set()
            thread.join()


ZONE = {
    "one.example.": ["10 mx1.provider.example.", "20 backup.other.example."],
    "two.example.": ["20 backup.other.example.", "5 MX2.Provider.Example."],
    "null.example.": ["0 ."],
    "odd.example.": ["0 \\000\\255.evil\\010.example."],
    "number.example.": ["10 192.0.2.1."],
    "xn--bcher-kva.example.": ["10 mx.buch.example."],
    "many.example.": [f"{n} mx{n}.big.example." for n in range(20, 2, -1)],
}


def zone(query: dns.message.Message) -> bytes | None:
    """Answer from ZONE; `silent`, `broken`, `gone` and `plain` do what they say."""
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.RA
    name = query.question[0].name
    text = name.to_text().lower()
    if text in ZONE:
        reply.answer.append(dns.rrset.from_text(name, 300, "IN", "MX", *ZONE[text]))
    elif text.startswith("silent"):
        return None
    elif text.startswith("broken"):
        reply.set_rcode(dns.rcode.SERVFAIL)
    elif text.startswith("cut"):
        return reply.to_wire()[:9]
    elif text.startswith("other"):  # the answer to another question
        reply.answer.append(dns.rrset.from_text("bank.example.", 300, "IN", "MX", "1 mx.evil.example."))
    elif text.startswith("loop"):
        reply.answer.append(dns.rrset.from_text(name, 300, "IN", "CNAME", text))
    elif not text.startswith("plain"):
        reply.set_rcode(dns.rcode.NXDOMAIN)
    return reply.to_wire()


def found(*domains: str) -> dict[str, str | None]:
    with dns_server(zone) as resolver:
        return mail_exchangers.look_up(domains, 30, resolver)


def test_two_domains_behind_one_provider_are_one_group() -> None:
    """Standards S4: the best host decides, not the domain and not a backup."""
    assert found("one.example", "two.example") == {"one.example": "provider.example", "two.example": "provider.example"}


def test_a_domain_without_a_usable_host_is_a_group_of_its_own() -> None:
    for domain in ("null.example", "plain.example", "gone.example", "odd.example", "number.example"):
        assert found(domain) == {domain: domain}


def test_who_does_not_answer_is_asked_again_later() -> None:
    domains = ("silent.example", "broken.example", "cut.example", "loop.example")
    assert found(*domains) == dict.fromkeys(domains)


def test_an_answer_to_another_question_is_none() -> None:
    assert found("other.example")["other.example"] in (None, "other.example")


def test_many_hosts_and_names_in_other_alphabets() -> None:
    assert found("many.example") == {"many.example": "big.example"}
    assert found("xn--bcher-kva.example") == {"xn--bcher-kva.example": "buch.example"}


@pytest.mark.parametrize("domain", ["", ".", "a..b", "x" * 64 + ".example", "a." * 200 + "example", "\ud800.example"])
def test_a_name_that_is_none_harms_nobody(domain: str) -> None:
    assert found(domain, "one.example")["one.example"] == "provider.example"


def test_when_the_time_is_over_the_rest_is_left_for_the_next_time() -> None:
    with dns_server(zone) as resolver:
        assert mail_exchangers.look_up(["one.example"], 0, resolver) == {}


def test_without_a_resolver_nothing_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> dns.asyncresolver.Resolver:
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(dns.asyncresolver, "Resolver", none)
    assert mail_exchangers.look_up(["one.example"], 5) == {}


@pytest.mark.parametrize(
    ("host", "group"),
    [
        ("gmail-smtp-in.l.google.com", "google.com"),
        ("ASPMX.L.GOOGLE.COM.", "google.com"),
        ("aspmx2.googlemail.com", "google.com"),
        ("smtp.google.com", "google.com"),
        ("example-org.mail.protection.outlook.com", "outlook.com"),
        ("hotmail-com.olc.protection.outlook.com", "outlook.com"),
        ("example-org.x-v1.mx.microsoft", "outlook.com"),
        ("mta5.am0.yahoodns.net", "yahoodns.net"),
        ("mx01.mail.icloud.com", "icloud.com"),
        ("mx00.gmx.net", "gmx.net"),
        ("mail.example.co.uk", "example.co.uk"),
        ("mx.a.b.example.com.au", "example.com.au"),
        ("mx.gmx.de", "gmx.de"),
        ("co.uk", "co.uk"),
        ("example.org", "example.org"),
        ("localhost", "localhost"),
    ],
)
def test_a_group_is_named_after_the_providers_domain(host: str, group: str) -> None:
    assert hosts.group_of_host(host) == group


def test_what_was_looked_up_is_kept_for_a_month_and_silence_for_an_hour(app_on_each: Flask) -> None:
    with transaction() as session:
        hosts.ask_for(session, ["one.example", "two.example"])
        hosts.ask_for(session, ["two.example", "three.example"])
        hosts.ask_for(session, [])
    assert hosts.due(db.session(), NOW, 2) == ["one.example", "three.example"]
    assert len(hosts.due(db.session(), NOW, 9)) == 3
    with transaction() as session:
        hosts.note(session, {"one.example": "p.example", "two.example": None, "unasked.example": "x.example"}, NOW)
    assert hosts.due(db.session(), NOW, 9) == ["three.example"]
    assert hosts.due(db.session(), NOW + HOUR + HOUR, 9) == ["three.example", "two.example"]
    assert hosts.due(db.session(), NOW + 31 * DAY, 9) == ["three.example", "two.example", "one.example"]
    with transaction() as session:
        hosts.note(session, {"one.example": None}, NOW + 31 * DAY)
        assert hosts.groups_of(session, ["one.example"]) == {"one.example": "p.example"}, "the old answer stays"
    assert sorted(db.session.scalars(select(MailHost.domain))) == ["one.example", "three.example", "two.example"]


def test_the_upkeep_looks_up_what_is_due(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    with transaction() as session:
        hosts.ask_for(session, ["one.example", "broken.example"])
    with dns_server(zone) as resolver:
        monkeypatch.setattr(dns.asyncresolver, "Resolver", lambda: resolver)
        upkeep.look_hosts_up()
    assert hosts.groups_of(db.session(), ["one.example", "broken.example"]) == {
        "one.example": "provider.example",
        "broken.example": "broken.example",
    }
    asked: list[object] = []
    monkeypatch.setattr(mail_exchangers, "look_up", lambda *given: asked.append(given))
    upkeep.look_hosts_up()
    assert not asked, "nothing is due, nobody is asked"
