"""Signing keys on the operators' pages: the record is shown, the private half never."""

from html import unescape

import pytest
from flask import Flask
from sqlalchemy import update

from newsletter.foundation.db import db, transaction
from newsletter.foundation.services import services
from newsletter.publication import dkim
from newsletter.publication import dkim_records as records
from newsletter.publication.dkim import KeyState
from newsletter.publication.models import DkimKey, KeyAlgorithm
from tests.admin.browsing import Browser
from tests.conftest import NOW
from tests.publication import names


def state(key_id: int) -> KeyState:
    db.session.expire_all()
    return dkim.state(dkim.get(db.session(), key_id), NOW)


def test_a_key_is_made_activated_replaced_and_forgotten(ada: Browser) -> None:
    assert "signs nothing" in ada.open("/admin/dkim")
    assert ada.press("/admin/dkim", domain="gazette.example").location == "/admin/dkim/1"
    page = unescape(ada.open("/admin/dkim/1"))
    key = dkim.get(db.session(), 1)
    assert key.record in page
    assert records.zone_line(f"{key.selector}._domainkey.gazette.example", key.record) in page
    assert state(1) is KeyState.WAITING
    ada.press("/admin/dkim/1/activate")
    assert state(1) is KeyState.SIGNING
    ada.press("/admin/dkim", domain="gazette.example")
    ada.press("/admin/dkim/2/activate")
    assert (state(1), state(2)) == (KeyState.RETIRED, KeyState.SIGNING)
    assert "No key signs mail from" not in ada.open("/admin/dkim")
    ada.press("/admin/dkim/2/retire")
    page = ada.open("/admin/dkim")
    assert page.count("news@gazette.example") == 1
    assert ada.press("/admin/dkim/2/remove").status_code == 409
    with transaction() as session:
        session.execute(update(DkimKey).values(retired_at=NOW.replace(year=2020)))
    assert "v=DKIM1; k=rsa; p=<" in ada.open("/admin/dkim/2")
    assert ada.press("/admin/dkim/2/remove").location == "/admin/dkim"
    ada.open("/admin/dkim/2", 404)


def test_no_page_shows_the_private_half(place: Flask, ada: Browser) -> None:
    with transaction() as session:
        rsa = dkim.generate(session, services().vault, "gazette.example", NOW)
        beside = dkim.generate(session, services().vault, "gazette.example", NOW, algorithm=KeyAlgorithm.ED25519)
    pages = [ada.open("/admin/dkim"), *(ada.open(f"/admin/dkim/{key.id}") for key in (rsa, beside))]
    assert "badly signed" in pages[-1]
    for key in (rsa, beside):
        secret = "".join(services().vault.open(key.sealed).splitlines()[1:-1])
        assert not any(key.sealed in page or secret[-60:] in page or "PRIVATE" in page for page in pages)


def test_the_dns_is_asked_by_a_button(place: Flask, ada: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    with transaction() as session:
        good = dkim.generate(session, services().vault, "gazette.example", NOW)
        missing = dkim.generate(session, services().vault, "gazette.example", NOW)
    name = records.name(good.selector, good.domain)
    ada.open("/admin/dkim")
    with names.serving({name: [" ".join(f'"{part}"' for part in records.strings(good.record))]}) as resolver:
        monkeypatch.setattr("dns.resolver.Resolver", lambda: resolver)
        ada.press(f"/admin/dkim/{good.id}/check")
        assert "The record is as it should be." in ada.open(f"/admin/dkim/{good.id}")
        ada.press(f"/admin/dkim/{missing.id}/check")
        assert "There is no record." in ada.open(f"/admin/dkim/{missing.id}")


def test_strangers_and_looking_change_nothing(place: Flask, ada: Browser, stranger: Browser) -> None:
    with transaction() as session:
        key = dkim.generate(session, services().vault, "gazette.example", NOW)
    for act in ("activate", "retire", "remove", "check"):
        ada.open(f"/admin/dkim/{key.id}/{act}", 405)
        assert stranger.press(f"/admin/dkim/{key.id}/{act}").status_code in (303, 400)
    assert "sign-in" in (stranger.client.get("/admin/dkim", base_url="https://news.example.org").location or "")
    assert ada.press("/admin/dkim", domain="evil.example; p=").status_code == 422
    assert state(key.id) is KeyState.WAITING
    assert len(dkim.listed(db.session())) == 1
