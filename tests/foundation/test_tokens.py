"""Tokens and secrets: one purpose each, a lifetime each, keys that rotate, nothing that survives a changed byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import TimestampSigner
from pydantic import SecretStr

from newsletter.foundation.errors import InvalidError, TokenError, TokenExpiredError
from newsletter.foundation.secrets import Hasher, Vault
from newsletter.foundation.tokens import Purpose, Tokens

OLD, NEW = SecretStr("an-old-key-of-the-tests-0123456789"), SecretStr("a-new-key-of-the-tests-0123456789")
TOKENS = Tokens([OLD])


@pytest.mark.parametrize("made_for", Purpose)
def test_a_token_is_good_for_its_purpose_alone(made_for: Purpose) -> None:
    token = TOKENS.make(made_for, 7)
    for purpose in Purpose:
        if purpose is made_for:
            assert TOKENS.read(purpose, token) == 7
        else:
            with pytest.raises(TokenError):
                TOKENS.read(purpose, token)


@given(place=st.integers(0, 200), byte=st.characters(min_codepoint=33, max_codepoint=126))
def test_no_changed_character_goes_unnoticed(place: int, byte: str) -> None:
    token = TOKENS.make(Purpose.CONFIRM, 7)
    place %= len(token)
    changed = token[:place] + byte + token[place + 1 :]
    if changed != token:
        with pytest.raises(TokenError):
            TOKENS.read(Purpose.CONFIRM, changed)


@given(st.text(max_size=80))
def test_nonsense_is_refused_as_a_token(text: str) -> None:
    with pytest.raises(TokenError):
        TOKENS.read(Purpose.CONFIRM, text)


def test_a_token_ends_with_its_purposes_lifetime(monkeypatch: pytest.MonkeyPatch) -> None:
    token = TOKENS.make(Purpose.CONFIRM, 7)
    real = TimestampSigner.get_timestamp
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda self: real(self) + Purpose.CONFIRM.lifetime - 5)
    assert TOKENS.read(Purpose.CONFIRM, token) == 7
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda self: real(self) + Purpose.CONFIRM.lifetime + 5)
    with pytest.raises(TokenExpiredError):
        TOKENS.read(Purpose.CONFIRM, token)
    assert TOKENS.read(Purpose.CONFIRM, token, expired_too=True) == 7


def test_the_last_key_signs_and_the_older_ones_still_verify() -> None:
    both = Tokens([OLD, NEW])
    assert both.read(Purpose.CONFIRM, TOKENS.make(Purpose.CONFIRM, 7)) == 7
    made_now = both.make(Purpose.CONFIRM, 8)
    assert Tokens([NEW]).read(Purpose.CONFIRM, made_now) == 8
    with pytest.raises(TokenError):
        TOKENS.read(Purpose.CONFIRM, made_now)


def test_a_sealed_secret_opens_after_rotation_and_never_lies_in_clear() -> None:
    sealed = Vault([OLD]).seal("hunter2")
    assert "hunter2" not in sealed
    assert Vault([OLD, NEW]).open(sealed) == "hunter2"
    with pytest.raises(InvalidError):
        Vault([NEW]).open(sealed)
    with pytest.raises(InvalidError):
        Vault([OLD]).open("nonsense")


def test_a_hash_tells_purposes_and_keys_apart() -> None:
    hasher = Hasher(OLD)
    assert hasher.digest("address", "a@example.org") == hasher.digest("address", "a@example.org")
    assert hasher.digest("address", "a@example.org") != hasher.digest("cap", "a@example.org")
    assert hasher.digest("address", "a@example.org") != Hasher(NEW).digest("address", "a@example.org")
