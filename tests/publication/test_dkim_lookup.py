"""What stands in the DNS is compared with what should: by meaning, and with the reason where it differs."""

import dns.resolver
import pytest

from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.ports import LOOPBACK, free_port
from newsletter.publication import dkim_records as records
from newsletter.publication.dkim_lookup import published, why_not
from newsletter.publication.models import KeyAlgorithm
from tests.publication import names

WANTED = "v=DKIM1; k=rsa; p=MIIBIjANBg+/=="


def test_the_record_as_it_was_printed_is_found() -> None:
    value = records.record(records.new_key(KeyAlgorithm.RSA))
    line = " ".join(f'"{part}"' for part in records.strings(value))
    with names.serving({"nl._domainkey.gazette.example": [line], "empty.gazette.example": []}) as resolver:
        assert published("nl._domainkey.gazette.example", resolver) == [value]
        assert published("other._domainkey.gazette.example", resolver) == []
        assert published("empty.gazette.example", resolver) == []


def test_a_name_server_that_does_not_answer_is_told_in_one_sentence() -> None:
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = [LOOPBACK], free_port()
    with pytest.raises(NewsletterError, match=r"does not answer about a\.example"):
        published("a.example", resolver, 0.1)
    with pytest.raises(NewsletterError, match="does not answer"):
        published("a" * 64 + ".example", resolver, 0.1)


@pytest.mark.parametrize(
    "found",
    [WANTED, WANTED.replace(" ", ""), f"{WANTED};", "k=rsa; p=MIIB IjAN\tBg+/==", "p=MIIBIjANBg+/==", f"{WANTED}; t=s"],
)
def test_records_that_mean_the_same_are_as_good(found: str) -> None:
    assert why_not([found], WANTED) is None


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ([], "no record"),
        ([WANTED, WANTED], "several"),
        (["v=spf1 -all"], "not a DKIM key"),
        (["v=DKIM2; p=MIIBIjANBg+/=="], "not a DKIM key"),
        (["some words"], "not a DKIM key"),
        ([WANTED[:-6]], "another key, or a part"),
        (["v=DKIM1; k=rsa; p="], "revoked"),
        (["v=DKIM1; k=ed25519; p=MIIBIjANBg+/=="], "another kind"),
    ],
)
def test_what_differs_is_said(found: list[str], reason: str) -> None:
    assert reason in (why_not(found, WANTED) or "")


def test_a_spent_keys_record_is_to_be_empty() -> None:
    empty = records.revoked(WANTED)
    assert empty == "v=DKIM1; k=rsa; p="
    assert why_not([empty], empty) is None
    assert why_not([WANTED], empty) is not None
