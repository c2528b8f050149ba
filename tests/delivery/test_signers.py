"""Signatures are made by children where there are many, and made even so where a child has ended."""

import os
import signal
from collections.abc import Iterator
from functools import partial
from typing import cast

import pytest

from newsletter.delivery.drafts import Draft
from newsletter.delivery.leases import Lease
from newsletter.delivery.signers import Signers
from newsletter.foundation.children import Child
from newsletter.mail.dkim import Signer, SigningKey
from newsletter.mail.shapes import Message
from newsletter.publication.models import KeyAlgorithm
from tests.mail import samples, signing

RSA = signing.key("one")
SHEET = samples.composer().sheet(samples.reader().sections)


@pytest.fixture
def signers() -> Iterator[Signers]:
    made = Signers()
    yield made
    made.close()


def drafts(number: int, *keys: SigningKey) -> list[Draft]:
    """Return drafts that wait for signatures of `keys`."""
    of_nobody = cast("Lease", None)  # it is for the ledger alone
    signer = Signer(keys)

    def make(key: int) -> Message:
        return SHEET.message(signing.envelope(key), samples.links(), "Anna", signer)

    found = [Draft(key, partial(make, key), "example.org", of_nobody, 0.0, None) for key in range(number)]
    for draft in found:
        draft.write()
    return found


def contents(some: list[Draft]) -> list[bytes]:
    assert all(draft.failed is None for draft in some)
    return [b"".join(draft.pieces) for draft in some]


@pytest.mark.parametrize("number", [1, 40])
@pytest.mark.parametrize("beside", [(), (signing.key("ed", KeyAlgorithm.ED25519),)], ids=["rsa", "both"])
def test_each_gets_its_own_signatures(signers: Signers, number: int, beside: tuple[SigningKey, ...]) -> None:
    some = drafts(number, RSA, *beside)
    expected = [draft.make().content for draft in some]  # both ways of signing tell the same each time
    assert len(set(expected)) == number
    signers.sign(some).result()
    assert contents(some) == expected


def test_keys_may_change_within_a_batch(signers: Signers) -> None:
    before, after = drafts(6, RSA), drafts(6, signing.key("two"))
    expected = [draft.make().content for draft in (*before, *after)]
    signers.sign([*before, *after]).result()
    assert contents([*before, *after]) == expected


def test_what_is_not_to_be_signed_is_left_as_it_is(signers: Signers) -> None:
    some = drafts(5, RSA)
    for draft in some[:4]:
        draft.unsigned = None
    signers.sign(some).result()
    assert [content.startswith(b"DKIM-Signature: ") for content in contents(some)] == [False] * 4 + [True]


def test_a_few_need_no_child(signers: Signers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Child, "__init__", lambda *_: pytest.fail("a child was begun"))
    some = drafts(2, RSA)
    signers.sign(some).result()
    assert all(content.startswith(b"DKIM-Signature: ") for content in contents(some))


def test_a_child_that_is_killed_costs_no_signature(signers: Signers) -> None:
    signers.sign(drafts(8, RSA)).result()
    for child in signers._children:
        os.kill(child.process.pid, signal.SIGKILL)
    some = drafts(8, RSA)
    signers.sign(some).result()
    assert contents(some) == [draft.make().content for draft in some]


def test_a_child_that_dies_over_a_question_costs_no_signature(
    signers: Signers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Child, "ask", lambda *_: None)
    some = drafts(8, RSA)
    signers.sign(some).result()
    assert contents(some) == [draft.make().content for draft in some]


def test_children_end_when_it_is_closed() -> None:
    signers = Signers()
    signers.sign(drafts(8, RSA)).result()
    (child,) = signers._children
    signers.close()
    assert child.process.poll() is not None
