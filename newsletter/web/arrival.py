"""What a pressed button tells of the mail that led to it: it arrived.

Only a press counts: programs open every link of a mail on its way, and a GET changes nothing here.
"""

from flask import g

from newsletter.delivery import evidence
from newsletter.delivery.evidence import Evidence
from newsletter.foundation.db import db, transaction


def note(delivery_id: int) -> None:
    """Close the delivery of a link in it, if its fate is unknown; 0 stands for a link that no mail carried."""
    if delivery_id and evidence.wanted(db.session(), delivery_id):
        with transaction() as session:
            evidence.accepted(session, [delivery_id], Evidence.ACT, g.now)


def note_confirmation(confirmation_id: int) -> None:
    """Close the delivery of a confirmation mail, if its fate is unknown."""
    if found := evidence.of_confirmation(db.session(), confirmation_id):
        with transaction() as session:
            evidence.accepted(session, found, Evidence.ACT, g.now)
