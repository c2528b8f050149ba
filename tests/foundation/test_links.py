"""Links in mails: they outlive keys, and are believed only where they were meant for."""

import base64
import hashlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from newsletter.foundation import links
from newsletter.foundation.errors import SettingsError, TokenError
from newsletter.foundation.links import Link, Links

OLD, NEW = SecretStr("an-old-key-0123456789-abcdefghijklmn"), SecretStr("a-new-key-9876543210-nmlkjihgfedcba")
IDS = st.lists(st.integers(0, 2**63 - 1), max_size=4)


def made(*keys: SecretStr) -> Links:
    return Links("https://news.example.org", keys)


@given(st.sampled_from(Link), IDS)
def test_what_was_made_is_read(link: Link, ids: list[int]) -> None:
    assert made(OLD).read(link, made(OLD).token(link, *ids)) == tuple(ids)


@given(IDS)
def test_old_links_work_after_a_rotation_and_new_ones_need_the_new_key(ids: list[int]) -> None:
    before, after = made(OLD).token(Link.LEAVE, *ids), made(OLD, NEW).token(Link.LEAVE, *ids)
    assert made(OLD, NEW).read(Link.LEAVE, before) == made(NEW).read(Link.LEAVE, after) == tuple(ids)
    with pytest.raises(TokenError):
        made(NEW).read(Link.LEAVE, before)


@given(IDS, st.data())
def test_a_link_is_refused_for_another_purpose_and_with_any_sign_changed(ids: list[int], data: st.DataObject) -> None:
    token = made(OLD).token(Link.PREFERENCES, *ids)
    with pytest.raises(TokenError):
        made(OLD).read(Link.LEAVE, token)
    # The last sign may hold bits that stand for nothing.
    place = data.draw(st.integers(0, len(token) - 2))
    sign = data.draw(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"))
    if sign != token[place]:
        with pytest.raises(TokenError):
            made(OLD).read(Link.PREFERENCES, token[:place] + sign + token[place + 1 :])


@given(st.text(max_size=60))
def test_anything_else_is_refused_in_our_own_words(text: str) -> None:
    for read in (lambda: made(OLD).read(Link.LEAVE, text), lambda: made(OLD).read_return_path(text)):
        with pytest.raises(TokenError):
            read()


@given(st.integers(0, 2**63 - 1))
def test_a_return_path_survives_servers_that_change_its_case(delivery: int) -> None:
    local, _, domain = made(OLD).return_path(delivery, "bounces.example.org").partition("@")
    assert (local, domain) == (local.lower(), "bounces.example.org")
    assert len(local) <= 64
    assert made(NEW, OLD).read_return_path(local.upper()) == delivery


@pytest.mark.parametrize(
    ("link", "ids", "token"),
    [
        (Link.ONE_CLICK, (), "JjmUekvtxt25EkbvmbChjA"),
        (Link.LEAVE, (0,), "jCyMzut0JMoyEMAsnafKjAAAAAAAAAAA"),
        (Link.PREFERENCES, (1, 2, 3), "dC-zdqh9s_ooEcVhpPcMjAAAAAEAAgAAAAM"),
        (Link.ONE_CLICK, (127, 128, 16384), "0_jX1lqHH1S5oiFcnGI4jAAAAH8AgAAAQAA"),
        (Link.LEAVE, (50000, 1, 2**31), "ePcahg2QqpXPiAG448BEjAAAw1AAAYAAAAA"),
        (Link.LEAVE, (50000, 1, 2**32), "2-cftxWRH0SojBnOguk-jAAAAAAAAMNQAAAAAAAAAAEAAAABAAAAAA"),
        (Link.PREFERENCES, (2**63 - 1, 2**40, 300), "ReGLy0RqIHe-3mJy4WeGjH__________AAABAAAAAAAAAAAAAAABLA"),
    ],
)
def test_links_of_mails_sent_long_ago_are_made_and_read_as_ever(link: Link, ids: tuple[int, ...], token: str) -> None:
    assert made(OLD, NEW).token(link, *ids) == token
    assert made(OLD, NEW).read(link, token) == ids


@pytest.mark.parametrize(
    ("delivery", "local"),
    [
        (0, "b+f2c6f69c0764da06a4588c0000000000000000"),
        (1, "b+3f0444e1ace16b5c35058c0000000000000001"),
        (300, "b+fd175ad38d3e7542f6928c000000000000012c"),
        (2**31, "b+060a200f17c581fcfda58c0000000080000000"),
        (2**63 - 1, "b+51dc234ac4047332cf078c7fffffffffffffff"),
    ],
)
def test_return_paths_stay_as_they_ever_were(delivery: int, local: str) -> None:
    assert made(OLD, NEW).return_path(delivery, "b.example") == f"{local}@b.example"
    assert made(OLD, NEW).read_return_path(local) == delivery


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**31), st.integers(0, 2**63 - 1))
def test_a_digest_s_links_are_those_made_one_by_one(subscriber: int, cadence: int, delivery: int) -> None:
    ids, one = (subscriber, cadence, delivery), made(OLD, NEW)
    *links, token = one.digest_links(*ids)
    assert links == [one.make(link, *ids) for link in (Link.ONE_CLICK, Link.LEAVE, Link.PREFERENCES)]
    assert token == one.token(Link.ONE_CLICK, *ids)


@pytest.mark.parametrize("length", [32, 63, 64, 65, 200])
def test_a_token_is_a_keyed_blake2b_whatever_the_key_s_length(length: int) -> None:
    secret = ("an-old-key-0123456789-abcdefghijklmn" * 6)[:length]
    body = bytes((links._key_id(SecretStr(secret)),)) + (7).to_bytes(8, "big")
    key = hashlib.blake2b(secret.encode(), person=b"newsletter key").digest()
    mac = hashlib.blake2b(body, key=key, person=b"newsletter link").digest()[15:30]
    assert made(SecretStr(secret)).token(Link.LEAVE, 7) == base64.urlsafe_b64encode(mac + body).decode().rstrip("=")


@given(IDS, st.data())
def test_what_one_purpose_is_signed_with_signs_no_other(ids: list[int], data: st.DataObject) -> None:
    one, other = data.draw(st.permutations(list(Link)))[:2]
    with pytest.raises(TokenError):
        made(OLD).read(other, made(OLD).token(one, *ids))


@given(st.binary(max_size=30), st.sampled_from(Link))
def test_a_token_of_the_right_key_with_any_other_bytes_is_refused(rest: bytes, link: Link) -> None:
    raw = rest[:15] + bytes((links._key_id(OLD),)) + rest[15:]
    with pytest.raises(TokenError):
        made(OLD).read(link, base64.urlsafe_b64encode(raw).decode().rstrip("="))
    with pytest.raises(TokenError):
        made(OLD).read_return_path(f"b+{raw.hex()}")


def test_two_keys_that_links_cannot_tell_apart_are_refused() -> None:
    twin = next(
        key
        for number in itertools.count()
        if links._key_id(key := SecretStr(f"twin-{number:06}-0123456789-abcdefghijklm")) == links._key_id(OLD)
    )
    for ring in ((OLD, twin), (OLD, OLD)):
        with pytest.raises(SettingsError, match="LINK_KEYS"):
            made(*ring)
