"""Links in mails: they outlive keys, and are believed only where they were meant for."""

import base64
import hmac
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
        (Link.ONE_CLICK, (), "jEidx1tMAYVTC-II-Y29VFo"),
        (Link.LEAVE, (0,), "jADe3LmgmKAGLOj4tBucwixz"),
        (Link.PREFERENCES, (1, 2, 3), "jAECA7bMTS6ZBd1tn7py0PHYdRg"),
        (Link.ONE_CLICK, (127, 128, 16384), "jH-AAYCAAU8mpPKWEq2y1Cu7-wLb328"),
        (Link.LEAVE, (50000, 1, 2**31), "jNCGAwGAgICACF06KA5fGpXBZo8dErNM-g0"),
        (Link.PREFERENCES, (2**63 - 1, 2**40, 300), "jP__________f4CAgICAIKwCVuGIAKLt8mE7_nReYSf9tw"),
    ],
)
def test_links_of_mails_sent_long_ago_are_made_and_read_as_ever(link: Link, ids: tuple[int, ...], token: str) -> None:
    assert made(OLD, NEW).token(link, *ids) == token
    assert made(OLD, NEW).read(link, token) == ids


@pytest.mark.parametrize(
    ("delivery", "local"),
    [
        (0, "b+8c00ddadf6d228575a64f4cd"),
        (1, "b+8c01d40938e3ee70a0281a5c"),
        (300, "b+8cac02da2937216878a593d634"),
        (2**31, "b+8c8080808008d2b8be8adcf0366c30f3"),
        (2**63 - 1, "b+8cffffffffffffffff7ff37bbc466a53dafa39eb"),
    ],
)
def test_return_paths_stay_as_they_ever_were(delivery: int, local: str) -> None:
    assert made(OLD, NEW).return_path(delivery, "b.example") == f"{local}@b.example"
    assert made(OLD, NEW).read_return_path(local) == delivery


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**31), st.integers(0, 2**63 - 1))
def test_a_digest_s_links_are_those_made_one_by_one(subscriber: int, cadence: int, delivery: int) -> None:
    ids, one = (subscriber, cadence, delivery), made(OLD, NEW)
    links = one.digest_links(*ids)
    assert links[:3] == tuple(one.make(link, *ids) for link in (Link.ONE_CLICK, Link.LEAVE, Link.PREFERENCES))
    assert links.token == one.token(Link.ONE_CLICK, *ids)


@pytest.mark.parametrize("length", [32, 63, 64, 65, 200])
def test_a_token_is_an_hmac_whatever_the_key_s_length(length: int) -> None:
    key = SecretStr(("an-old-key-0123456789-abcdefghijklmn" * 6)[:length])
    body = bytes((links._key_id(key), 7))
    mac = hmac.digest(key.get_secret_value().encode(), b"newsletter.leave" + body, "sha256")[:16]
    assert made(key).token(Link.LEAVE, 7) == base64.urlsafe_b64encode(body + mac).decode().rstrip("=")


def test_two_keys_that_links_cannot_tell_apart_are_refused() -> None:
    twin = next(
        key
        for number in itertools.count()
        if links._key_id(key := SecretStr(f"twin-{number:06}-0123456789-abcdefghijklm")) == links._key_id(OLD)
    )
    for ring in ((OLD, twin), (OLD, OLD)):
        with pytest.raises(SettingsError, match="LINK_KEYS"):
            made(*ring)
