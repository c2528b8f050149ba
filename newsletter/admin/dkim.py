"""The keys that sign mail: made, published, put to use, replaced. No page shows more of a key than its DNS record."""

from flask import Response, g, render_template, request

from newsletter.admin import frame
from newsletter.admin.frame import go, pages, say
from newsletter.foundation.db import db, transaction
from newsletter.foundation.services import services
from newsletter.publication import dkim
from newsletter.publication import dkim_lookup as lookup
from newsletter.publication import dkim_records as records
from newsletter.publication.dkim import Act
from newsletter.publication.models import DkimKey


@pages.get("/dkim")
def dkim_keys() -> str:
    """List the keys, the senders whose mail is not signed, and the form for one more."""
    keys = [(key, dkim.state(key, g.now)) for key in dkim.listed(db.session())]
    signed = {key.domain for key, state in keys if state is dkim.KeyState.SIGNING}
    own = frame.publication()
    senders = [sender for sender in (own.digest_from, own.confirmation_from) if sender]
    return render_template(
        "admin/dkim.html",
        section="",
        keys=keys,
        unsigned=[sender for sender in senders if _domain(sender) not in signed],
        domains=[(domain, domain) for domain in dict.fromkeys(map(_domain, senders))],
    )


@pages.post("/dkim")
def make_dkim_key() -> Response:
    """Make a key, which waits to be published."""
    with transaction() as session:
        key = dkim.generate(session, services().vault, request.form.get("domain", ""), g.now)
    say("The key is made. Publish its record; nothing is signed with it before you activate it.")
    return _to(key)


@pages.get("/dkim/<int:key_id>")
def dkim_key(key_id: int) -> str:
    """Show one key: its state, the record to be published, and what can be done."""
    key = dkim.get(db.session(), key_id)
    name, value, state = records.name(key.selector, key.domain), dkim.wanted_record(key, g.now), dkim.state(key, g.now)
    return render_template(
        "admin/dkim_key.html",
        section="",
        key=key,
        state=state,
        spent_at=dkim.spent_at(key),
        name=name,
        value=value,
        zone_line=records.zone_line(name, value),
        acts=[act for act in Act if dkim.why_not(act, state) is None],
    )


@pages.post("/dkim/<int:key_id>/check")
def check_dkim_key(key_id: int) -> Response:
    """Ask the DNS whether the record is as it should be. Nothing is changed."""
    with transaction() as session:  # ended before the DNS is waited for
        key = dkim.get(session, key_id)
    found = lookup.published(records.name(key.selector, key.domain))
    problem = lookup.why_not(found, dkim.wanted_record(key, g.now))
    say(problem or "The record is as it should be.", "warning" if problem else "success")
    return _to(key)


@pages.post("/dkim/<int:key_id>/activate")
def activate_dkim_key(key_id: int) -> Response:
    """Sign with it from now on."""
    with transaction() as session:
        key = dkim.get(session, key_id)
        before = dkim.activate(session, key, g.now)
    say(f"Mail from {key.domain} is signed with {key.selector} from now on.")
    if before:
        say(f"Leave the record of {before.selector} as it is: mail that it signed is under way.", "info")
    return _to(key)


@pages.post("/dkim/<int:key_id>/retire")
def retire_dkim_key(key_id: int) -> Response:
    """Sign no more with it."""
    with transaction() as session:
        key = dkim.get(session, key_id)
        dkim.retire(session, key, g.now)
    say(f"{key.selector} signs no more.", "warning")
    return _to(key)


@pages.post("/dkim/<int:key_id>/remove")
def remove_dkim_key(key_id: int) -> Response:
    """Forget it."""
    with transaction() as session:
        dkim.remove(session, dkim.get(session, key_id), g.now)
    say("The key is forgotten. Its record, if it is published, may go.")
    return go("dkim_keys")


def _to(key: DkimKey) -> Response:
    return go("dkim_key", key_id=str(key.id))


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower()
