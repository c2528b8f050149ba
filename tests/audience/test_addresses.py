"""What is an address, which are the same mailbox, and what was probably meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.audience import addresses, typos
from newsletter.foundation.errors import InvalidError


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Ann.Lee@EXAMPLE.Org", "Ann.Lee@example.org"),
        ("  ann@example.org ", "ann@example.org"),
        ("jörg@exämple.de", "jörg@xn--exmple-cua.de"),
        ("ann@xn--exmple-cua.de", "ann@xn--exmple-cua.de"),
        ("jo\u0308rg@example.org", "jörg@example.org"),
        ("ann+news@example.org", "ann+news@example.org"),
        ("ann@example.con", "ann@example.con"),
    ],
)
def test_local_part_stays_as_typed_and_domain_becomes_what_goes_on_the_wire(typed: str, kept: str) -> None:
    assert addresses.check(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "   ",
        "ann",
        "@example.org",
        "ann@",
        "ann@example",
        "ann@localhost",
        "ann@[127.0.0.1]",
        "ann@exam ple.org",
        "ann lee@example.org",
        "ann@example.org, bob@example.org",
        "Ann <ann@example.org>",
        '"ann lee"@example.org',
        "ann..lee@example.org",
        "ann@-example.org",
        "ann@example.org\r\nBcc: bob@example.org",
        "ann\x00@example.org",
        "ann\u202e@example.org",
        f"{'a' * 65}@example.org",
        f"ann@{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 63}.org",
        "ann@news.invalid",
        "ann@example.org\u2028",
    ],
)
def test_what_is_no_address_is_refused_with_a_sentence(typed: str) -> None:
    if typed.endswith("\u2028"):  # white space at the end is only tidied away
        assert addresses.check(typed) == "ann@example.org"
        return
    with pytest.raises(InvalidError, match=r"^[A-Z].*[.]$"):
        addresses.check(typed)


@given(st.text(max_size=80))
def test_no_text_whatever_does_anything_but_pass_or_be_refused(typed: str) -> None:
    try:
        kept = addresses.check(typed)
    except InvalidError:
        return
    assert addresses.check(kept) == kept
    assert kept.count("\n") == kept.count(" ") == 0
    assert addresses.domain_of(kept).isascii()
    assert len(kept.encode()) <= 254


def test_one_mailbox_has_one_cap_key_however_it_is_spelled() -> None:
    spellings = ("v.i.c.t.i.m@gmail.com", "Victim+1@googlemail.com", "vic.tim+a+b@GMAIL.com", "ｖictim@gmail.com")
    assert {addresses.cap_key(spelling) for spelling in spellings} == {"victim@gmail.com"}
    assert addresses.cap_key("a.b+c@example.org") == "a.b@example.org"
    assert addresses.cap_key("+tag@example.org") == "+tag@example.org"


def test_folding_tells_mailboxes_apart_that_only_a_provider_may_join() -> None:
    assert addresses.fold("Ann@Example.org") == addresses.fold("ann@example.ORG")
    assert addresses.fold("a.b@gmail.com") != addresses.fold("ab@gmail.com")


def test_throw_away_providers_are_refused_only_where_the_setting_says_so() -> None:
    assert addresses.check("ann@mailinator.com") == "ann@mailinator.com"
    for domain in ("mailinator.com", "deep.mailinator.com"):
        with pytest.raises(InvalidError, match="thrown away"):
            addresses.check(f"ann@{domain}", "refuse")
    assert addresses.check("ann@example.org", "refuse") == "ann@example.org"


def test_a_masked_address_shows_no_more_than_its_first_letters() -> None:
    assert addresses.mask("ann.lee@news.example.org") == "a•••@n•••.org"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("ann@gmial.com", "ann@gmail.com"),
        ("ann@gmai.com", "ann@gmail.com"),
        ("ann@gamil.com", "ann@gmail.com"),
        ("ann@gmail.con", "ann@gmail.com"),
        ("ann@gmail.cmo", "ann@gmail.com"),
        ("ann@hotmial.com", "ann@hotmail.com"),
        ("ann@outlok.com", "ann@outlook.com"),
        ("ann@yaho.com", "ann@yahoo.com"),
        ("ann@t-onlne.de", "ann@t-online.de"),
        ("ann@smallpaper.con", "ann@smallpaper.com"),
        ("ann@gmail.com", None),
        ("ann@example.org", None),
        ("ann@mail.com", None),
        ("ann@ymail.com", None),
        ("ann@web.de", None),
        ("ann@wbe.de", "ann@web.de"),
        ("ann@we.de", None),
        ("ann@mx.de", None),
        ("ann@company.co", None),
    ],
)
def test_a_slip_is_suggested_and_a_good_address_left_alone(typed: str, meant: str | None) -> None:
    assert typos.suggest(typed) == meant


@given(st.text(alphabet="abc", max_size=8), st.text(alphabet="abc", max_size=8))
def test_slips_are_counted_alike_from_both_sides(one: str, other: str) -> None:
    slips = typos.distance(one, other)
    assert slips == typos.distance(other, one)
    assert (slips == 0) == (one == other)
    assert abs(len(one) - len(other)) <= slips <= max(len(one), len(other))


def test_an_exchange_is_one_slip() -> None:
    assert typos.distance("gmial", "gmail") == 1
